// The files below the folders that the command line names.
import { lstatSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { decode, parseDocument } from '../../dist/nix/index.js'
import { turn } from './report.js'

/** The files below the given folders whose names end with `ending`, sorted by name. */
export function filesFromArguments(ending = '.nix') {
  return process.argv.slice(2).flatMap(it => filesBelow(it, ending))
}

/** The numbers of the named options, and the folders. */
export function argumentsWith(...names) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: Object.fromEntries(names.map(it => [it, { type: 'string' }]))
  })
  const numbers = Object.entries(values).map(([name, value]) => [name, Number(value)])
  return { folders: positionals, ...Object.fromEntries(numbers) }
}

/** The files below a folder whose names end with `ending`, sorted by name; a file is itself. */
export function filesBelow(path, ending) {
  const stat = lstatSync(path)
  if (stat.isFile()) return path.endsWith(ending) ? [path] : []
  if (!stat.isDirectory()) return []
  return readdirSync(path)
    .sort()
    .filter(name => name !== '.git')
    .flatMap(name => filesBelow(join(path, name), ending))
}

/** Each `.nix` file below the given folders that is text, with its document: `{ file, doc }`. */
export async function* documentsFromArguments() {
  for (const file of filesFromArguments()) {
    const text = decode(readFileSync(file))
    if (text.ok) yield { file, doc: parseDocument(text.value) }
    await turn()
  }
}
