import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll } from 'vitest'

const project = fileURLToPath(new URL('../../..', import.meta.url))

/** The script that makes one change of files in a process of its own. */
export const runner = fileURLToPath(new URL('runner.js', import.meta.url))

/** Compiles src/files once for the tests of a file; the function gives the folder. */
export function compiled(): () => string {
  let folder = ''
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'vfio-patch-compiled-'))
    chmodSync(folder, 0o755)
    const flags = '--ignoreConfig --noCheck --module nodenext --target es2022 --types node'
    const more = `--rewriteRelativeImportExtensions --rootDir src --outDir ${folder}`
    const args = [...flags.split(' '), ...more.split(' '), 'src/files/commit.ts']
    const { status, stdout } = spawnSync('node_modules/.bin/tsc', args, {
      cwd: project,
      encoding: 'utf8'
    })
    if (status !== 0) throw new Error(stdout)
    writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return () => folder
}
