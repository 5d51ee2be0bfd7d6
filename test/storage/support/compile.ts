import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll } from 'vitest'

const project = fileURLToPath(new URL('../../..', import.meta.url))

/** The path of the script in a compiled folder that makes one change of files in a separate process. */
export function runnerIn(folder: string): string {
  return join(folder, 'runner.js')
}

/**
 * Compiles src/storage once for the tests of a file, and returns a function that returns the compiled
 * folder. Other users can read this folder even if they can't enter the project's folder.
 */
export function compiled(): () => string {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'vfio-patch-compiled-'))
    chmodSync(folder, 0o755)
    const flags = '--ignoreConfig --noCheck --module nodenext --target es2022 --types node'
    const more = `--rewriteRelativeImportExtensions --rootDir src --outDir ${folder}`
    const args = [...flags.split(' '), ...more.split(' '), 'src/storage/commit.ts']
    const { status, stdout } = spawnSync('node_modules/.bin/tsc', args, {
      cwd: project,
      encoding: 'utf8'
    })
    if (status !== 0) throw new Error(stdout)
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
    copyFileSync(fileURLToPath(new URL('runner.js', import.meta.url)), runnerIn(folder))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return () => folder
}
