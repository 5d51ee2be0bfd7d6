// npm run stress -- formatted [--sample K] [--show N] FOLDER...
//
// Formats every K-th .nix file below the folders with each formatter in PATH, edits it in ten ways, and
// formats the result, without writing to the folders: the formatter must not change it. Prints N of the
// changes for each formatter and edit. Exit code 1 if less than 99 % of the results of a formatter and edit
// are unchanged, if a plan fails its verification, or if no formatter is in PATH.
import { readFileSync } from 'node:fs'
import { decode, diffTexts, parseDocument } from '../dist/nix/index.js'
import { present } from './support/expected.js'
import { argumentsWith, filesBelow } from './support/files.js'
import { EDITS } from './support/formattedEdits.js'
import { formatted, installedFormatters } from './support/formatters.js'
import { Counts, finish, row, table, turn } from './support/report.js'

const FORMATTERS = ['nixfmt', 'alejandra', 'nixpkgs-fmt']
const LEAST = 0.99
// Larger files are generated, and take as long as all others.
const MOST_CHARACTERS = 200_000

const { folders, sample = 1, show = 0 } = argumentsWith('sample', 'show')
const formatters = installedFormatters(FORMATTERS)
const faults = []
/** The counts of each edit, by formatter. */
const cells = new Map()

const texts = folders
  .flatMap(it => filesBelow(it, '.nix'))
  .filter((_, i) => i % sample === 0)
  .flatMap(file => {
    const text = decode(readFileSync(file))
    return text.ok && text.value.length <= MOST_CHARACTERS ? [{ file, text: text.value }] : []
  })
row('files', texts.length)
for (const { name, version } of formatters) await measure(name, version)
report()

async function measure(formatter, version) {
  const files = await stableTexts(formatter)
  const results = []
  const counts = new Map(Object.keys(EDITS).map(name => [name, new Counts()]))
  let modules = 0
  for (const { file, text } of files) {
    const doc = parseDocument(text)
    if (doc.module().ok) {
      modules++
      for (const name of Object.keys(EDITS)) edited(file, doc, name)
    }
    await turn()
  }
  row(`${formatter}: formatted modules`, modules, `   (${version})`)
  const after = await formatted(
    formatter,
    results.map(it => it.text)
  )
  results.forEach((it, i) => {
    judge(it, after[i])
  })
  cells.set(formatter, counts)

  function edited(file, doc, name) {
    const plan = EDITS[name](doc.edit(), doc)?.plan()
    if (plan === undefined) return
    if (plan.ok && plan.value.changed) results.push({ file, name, text: plan.value.text })
    else if (!plan.ok && plan.error.code === 'VERIFICATION_FAILED')
      faults.push(`${formatter}: ${name}: ${file}: ${plan.error.message}`)
    else present(counts.get(name)).add(plan.ok ? 'no change' : `refused ${plan.error.code}`)
  }

  function judge({ file, name, text }, again) {
    const count = present(counts.get(name))
    count.add('all')
    if (again === text) {
      count.add('unchanged')
      return
    }
    count.add('changed')
    if (present(count.get('changed')) > show) return
    console.log(`\n${formatter}: ${name}: ${file}`)
    if (again === undefined) console.log('the formatter refuses the result')
    else console.log(diffTexts(text, again, { file: file.replace(/^\/+/, '') }))
  }
}

/** The texts as the formatter leaves them. Those that it refuses or changes a second time are omitted. */
async function stableTexts(formatter) {
  const once = await formatted(
    formatter,
    texts.map(it => it.text)
  )
  const accepted = texts.flatMap(({ file }, i) => {
    const text = once[i]
    return text === undefined ? [] : [{ file, text }]
  })
  const twice = await formatted(
    formatter,
    accepted.map(it => it.text)
  )
  const stable = accepted.filter(({ text }, i) => text === twice[i])
  row(`${formatter}: refused files`, texts.length - accepted.length)
  row(`${formatter}: files changed when formatted again`, accepted.length - stable.length)
  return stable
}

function report() {
  const names = formatters.map(it => it.name)
  const of = (name, formatter) => present(cells.get(formatter)?.get(name))
  console.log('\nunchanged by the formatter')
  console.log(
    table(
      ['edit', ...names],
      Object.keys(EDITS).map(name => [name, ...names.map(it => shareOf(name, it, of(name, it)))])
    )
  )
  console.log('\nnot edited')
  for (const name of Object.keys(EDITS)) {
    for (const formatter of names) {
      const others = [...of(name, formatter)].filter(([what]) =>
        /^(?:refused|no change)/.test(what)
      )
      const listed = others.map(([what, n]) => `${n} ${what}`).join(', ')
      if (listed !== '') console.log(`  ${`${name}, ${formatter}`.padEnd(42)}${listed}`)
    }
  }
  for (const name of FORMATTERS) if (!names.includes(name)) console.log(`\n${name} is not in PATH`)
  if (names.length === 0) faults.push('no formatter is in PATH')
  finish(faults, 'below 99 % or wrong')
}

function shareOf(name, formatter, count) {
  const all = count.get('all') ?? 0
  const unchanged = count.get('unchanged') ?? 0
  if (all === 0) return 'none'
  const text = `${unchanged}/${all} ${((unchanged / all) * 100).toFixed(1)} %`
  if (unchanged < all * LEAST) faults.push(`${formatter}: ${name}: ${text}`)
  return text
}
