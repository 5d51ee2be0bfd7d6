// npm run stress -- lints FOLDER...
//
// Checks all configurations below the folders: each file that no other file imports, with everything that
// it imports. Prints once each finding that "vfio-patch check" has without a machine. A person has to
// review the findings: each finding that is not true is a false alarm.
import { readFileSync, realpathSync } from 'node:fs'
import { findGitFaults } from '../dist/check/gitFaults.js'
import { openFiles } from '../dist/configuration/files.js'
import { walkImports } from '../dist/configuration/imports.js'
import { lint } from '../dist/lints/index.js'
import { documentsFromArguments } from './support/files.js'
import { Counts, row, turn } from './support/report.js'

const texts = new Map()
for await (const { file, doc } of documentsFromArguments()) texts.set(realpathSync(file), doc.text)

const sources = openFiles('/')
const walks = new Map()
for (const [path, text] of texts) {
  walks.set(path, walkImports(sources.adopt(path, text), sources))
  await turn()
}
const imported = new Set(
  [...walks.values()].flatMap(({ files }) => files.slice(1).map(it => it.path))
)

const counts = new Counts()
const seen = new Set()
let roots = 0
for (const [path, { files, installed }] of walks) {
  if (imported.has(path)) continue
  roots++
  const found = [
    ...lint(files, { importsModules: installed.length > 0 }),
    ...findGitFaults(files, sources)
  ]
  for (const finding of found) {
    const key = `${finding.code} ${finding.path}:${finding.range.start}`
    if (seen.has(key)) continue
    seen.add(key)
    print(finding)
  }
  await turn()
}
console.log()
row('files', texts.size)
row('configurations', roots)
for (const [code, count] of [...counts].sort()) row(code, count)
row('findings', seen.size)

function print({ code, level, path, range, message }) {
  counts.add(`${code} (${level})`)
  const text = texts.get(path) ?? readFileSync(path, 'utf8')
  const line = text.slice(0, range.start).split('\n').length
  console.log(`${path}:${line} ${code} ${level}: ${message}`)
  console.log(`    ${text.split('\n')[line - 1]?.trim()}`)
}
