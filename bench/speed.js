// @ts-check
// npm run speed
//
// Measures an edit with its verification, after a warm-up and in one process, and compares its time with
// that of parsing the same text with the same engine. The texts are typical modules of 100 to 10,000 lines:
// nested sets, lists, strings and comments. Prints the median and the 99th percentile. A hundred edits in
// one transaction are compared with the slowest single edit, and with parsing the text before and the
// text after: in a short file, a hundred edits write more text than the file had.
import { createRequire } from 'node:module'
import { parseDocument } from '../dist/nix/index.js'

/** @typedef {import('../dist/nix/index.js').Transaction} Transaction */

const ROUNDS = { 100: 300, 1000: 120, 10000: 40 }

const engine = createRequire(import.meta.url)(
  `../prebuilds/${process.platform}-${process.arch}/nix-parser.node`
)

/** @param {number} lines */
function moduleOf(lines) {
  const text = [
    '{ config, lib, pkgs, ... }:',
    '{',
    '  imports = [ ./hardware-configuration.nix ];',
    ''
  ]
  for (let i = 0; text.length < lines - 1; i++) {
    text.push(
      `  # service number ${i}`,
      `  services.service${i} = {`,
      '    enable = true; # as on the old machine',
      `    port = ${8000 + i};`,
      `    openFirewall = lib.mkDefault ${i % 2 === 0};`,
      `    package = pkgs.service${i};`,
      '    extraFlags = [',
      `      "${directoryOf(i)}"`,
      `      "--name=\${config.networking.hostName}-${i}"`,
      '    ];',
      "    extraConfig = ''",
      `      listen = 0.0.0.0:${8000 + i}`,
      '      log = syslog',
      "    '';",
      '  };',
      ''
    )
  }
  return [...text, '}', ''].join('\n')
}

/** One of two adjacent bindings of each service. @param {number} i */
const bindingAt = i => `services.service${i >> 1}.${i % 2 === 0 ? 'enable' : 'port'}`
/** @param {number} i */
const directoryOf = i => `--data-dir=/var/lib/service${i}`

/** @type {[name: string, edit: (edit: Transaction) => Transaction][]} */
const EDITS = [
  ['set new', edit => edit.setIn('boot.loader.timeout', 3)],
  ['set', edit => edit.setIn('services.service1.port', 1)],
  ['add', edit => edit.addIn('services.service1.extraFlags', ['--verbose'])],
  ['import', edit => edit.import('./vfio')],
  ['remove', edit => edit.removeIn('services.service1.enable')]
]

/** @type {[name: string, edit: (edit: Transaction, i: number) => Transaction][]} */
const MANY = [
  ['100 new siblings', (edit, i) => edit.setIn(`boot.kernel.sysctl."net.o${i}"`, i)],
  ['100 new options', (edit, i) => edit.setIn(`programs.p${i}.enable`, true)],
  ['100 items', (edit, i) => edit.addIn('boot.kernelModules', [`module${i}`])],
  ['100 changes', (edit, i) => edit.setIn(`services.service${i % 6}.new${i}`, i)],
  // A short text has fewer than 100 of these bindings and lists.
  ['100 removals', (edit, i) => edit.removeIn(bindingAt(i))],
  ['100 renames', (edit, i) => edit.renameIn(bindingAt(i), `${bindingAt(i)}s`)],
  [
    '100 item removals',
    (edit, i) => edit.removeIn(`services.service${i}.extraFlags`, [directoryOf(i)])
  ]
]

/** @param {string} text @param {(edit: Transaction) => Transaction} edit */
function planned(text, edit) {
  const plan = edit(parseDocument(text).edit()).plan()
  if (!plan.ok) throw new Error(plan.error.render())
  return plan.value
}

/**
 * Milliseconds of each run, sorted. A turn of the event loop lets tree-sitter free its trees.
 *
 * @param {number} rounds @param {() => void} run
 */
async function timesOf(rounds, run) {
  const times = []
  const warmUp = 20 + rounds / 4
  for (let i = 0; i < rounds + warmUp; i++) {
    const start = performance.now()
    run()
    if (i >= warmUp) times.push(performance.now() - start)
    await new Promise(setImmediate)
  }
  return times.sort((a, b) => a - b)
}

/** @param {number[]} times sorted @param {number} share from 0 to 1 */
const at = (times, share) =>
  times[Math.min(times.length - 1, Math.floor(times.length * share))] ?? Number.NaN
/** @param {number} number */
const ms = number => number.toFixed(number < 10 ? 2 : 0).padStart(7)

for (const [lines, rounds] of Object.entries(ROUNDS)) {
  const text = moduleOf(Number(lines))
  const bare = await timesOf(rounds, () => engine.parse(text, 10_000))
  console.log(`\n${lines} lines, ${Math.round(text.length / 1024)} KB`)
  console.log(`                    median     p99   to a bare parse (ms)`)
  console.log(`  bare parse       ${ms(at(bare, 0.5))} ${ms(at(bare, 0.99))}`)
  let single = 0
  for (const [name, edit] of EDITS) {
    const times = await timesOf(rounds, () => planned(text, edit))
    const ratio = at(times, 0.5) / at(bare, 0.5)
    single = Math.max(single, at(times, 0.5))
    console.log(
      `  ${name.padEnd(16)} ${ms(at(times, 0.5))} ${ms(at(times, 0.99))}   ${ratio.toFixed(2)}`
    )
  }
  for (const [name, edit] of MANY) {
    const all = (/** @type {Transaction} */ start) => {
      let last = start
      for (let i = 0; i < 100; i++) last = edit(last, i)
      return last
    }
    const times = await timesOf(Math.ceil(rounds / 4), () => planned(text, all))
    const after = planned(text, all).text
    const both = at(bare, 0.5) + at(await timesOf(rounds, () => engine.parse(after, 10_000)), 0.5)
    const median = at(times, 0.5)
    const ratios = `${(median / single).toFixed(2)} of one edit, ${(median / both).toFixed(2)} of both parses`
    console.log(`  ${name.padEnd(16)} ${ms(median)} ${ms(at(times, 0.99))}   ${ratios}`)
  }
}
