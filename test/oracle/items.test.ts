import { expect, it } from 'vitest'
import { expr, type NixDocument, parseDocument } from '../../src/nix/index.ts'
import { built, type Choices, every } from '../properties/support/choices.ts'
import { describeWithOracle, evalConfigs, type Oracle } from './evalModules.ts'

const NAMES = ['vim', 'git', 'htop'] as const

/** Declares the options and gives `pkgs` and `other` to the module. The condition is `on`. */
const declarations = (on: boolean) => `{ lib, ... }: {
  options.l = lib.mkOption { type = lib.types.listOf lib.types.anything; default = [ ]; };
  config._module.args = {
    on = ${on};
    pkgs = { vim = "vim"; git = "git"; htop = "htop"; python = { numpy = "numpy"; vim = "pyvim"; }; };
    other = { git = "other git"; };
  };
}`

/** The values of `l` with the condition off and on. */
function valuesOf(oracle: Oracle, texts: readonly string[]): string[][] {
  const cases = texts.flatMap(it => [false, true].map(on => ({ modules: [it, declarations(on)] })))
  const all = evalConfigs(oracle, 'config: config.l', cases)
  return texts.map((_, i) => all.slice(2 * i, 2 * i + 2).map(it => JSON.stringify(it?.value)))
}

const around = (value: string) => `{ lib, pkgs, other, on, ... }: { l = ${value}; }`

const vim = expr('pkgs.vim')

function planned(doc: NixDocument, kind: 'add' | 'remove', item = vim) {
  const edit = doc.edit()
  const plan = (kind === 'add' ? edit.addIn('l', [item]) : edit.removeIn('l', [item])).plan()
  if (!plan.ok) throw new Error(plan.error.render())
  return plan.value
}

describeWithOracle('Nix computes', oracle => {
  // The value, what it is without pkgs.vim, and with it, each with the condition off and on.
  const cases: [string, [string[], string[]], [string[], string[]]][] = [
    [
      'with pkgs; [ vim git ]',
      [['git'], ['git']],
      [
        ['vim', 'git'],
        ['vim', 'git']
      ]
    ],
    [
      '[ pkgs.git ]',
      [['git'], ['git']],
      [
        ['git', 'vim'],
        ['git', 'vim']
      ]
    ],
    [
      'with pkgs; [ git ]',
      [['git'], ['git']],
      [
        ['git', 'vim'],
        ['git', 'vim']
      ]
    ],
    [
      'with pkgs; with lib; [ git ]',
      [['git'], ['git']],
      [
        ['git', 'vim'],
        ['git', 'vim']
      ]
    ],
    [
      'with pkgs; let vim = 1; in [ git ]',
      [['git'], ['git']],
      [
        ['git', 'vim'],
        ['git', 'vim']
      ]
    ],
    [
      'with pkgs; with other; [ git ]',
      [['other git'], ['other git']],
      [
        ['other git', 'vim'],
        ['other git', 'vim']
      ]
    ],
    [
      'with pkgs.python; [ numpy vim ]',
      [
        ['numpy', 'pyvim'],
        ['numpy', 'pyvim']
      ],
      [
        ['numpy', 'pyvim', 'vim'],
        ['numpy', 'pyvim', 'vim']
      ]
    ],
    [
      '[ "a" ] ++ lib.optional on pkgs.vim',
      [['a'], ['a']],
      [
        ['a', 'vim'],
        ['a', 'vim', 'vim']
      ]
    ],
    [
      'with pkgs; lib.optional on vim ++ [ git ]',
      [['git'], ['git']],
      [
        ['git', 'vim'],
        ['vim', 'git', 'vim']
      ]
    ],
    ['with pkgs; lib.optionals on [ vim git ]', [[], ['git']], [['vim'], ['vim', 'git', 'vim']]],
    [
      '[ ] ++ (if on then with pkgs; [ vim ] else [ "a" ])',
      [['a'], []],
      [
        ['vim', 'a'],
        ['vim', 'vim']
      ]
    ],
    [
      'lib.singleton pkgs.vim ++ [ "a" ]',
      [['a'], ['a']],
      [
        ['vim', 'a'],
        ['vim', 'a']
      ]
    ],
    ['lib.mkIf on (with pkgs; [ vim git ])', [[], ['git']], [['vim'], ['vim', 'git', 'vim']]]
  ]
  it('what a removed and an added item of each kind of list ask for', () => {
    const docs = cases.map(([value]) => parseDocument(around(value)))
    const removed = valuesOf(
      oracle,
      docs.map(it => planned(it, 'remove').text)
    )
    const added = valuesOf(
      oracle,
      docs.map(it => planned(it, 'add').text)
    )
    cases.forEach(([value, without, including], i) => {
      expect([value, removed[i]]).toEqual([value, without.map(it => JSON.stringify(it))])
      expect([value, added[i]]).toEqual([value, including.map(it => JSON.stringify(it))])
    })
  }, 120_000)

  it('the value before, once an added item is removed again', async () => {
    const rounds: { text: string; name: string; added: string; restored: string; notes: number }[] =
      []
    await every(built(moduleOf, 40), 150, text => {
      const doc = parseDocument(text)
      for (const name of NAMES) {
        const item = expr(`pkgs.${name}`)
        const added = planned(doc, 'add', item).text
        const removal = planned(parseDocument(added), 'remove', item)
        rounds.push({ text, name, added, restored: removal.text, notes: removal.notes.length })
      }
    })
    const values = valuesOf(
      oracle,
      rounds.flatMap(it => [it.text, it.added, it.restored])
    )
    expect(values.flat().filter(it => it === undefined)).toEqual([])
    rounds.forEach(({ text, name, added, restored, notes }, i) => {
      for (const on of [0, 1]) {
        const [before, during, after] = values
          .slice(3 * i, 3 * i + 3)
          .map(it => JSON.parse(it[on] ?? '') as string[]) as [string[], string[], string[]]
        const others = (all: string[]) => all.filter(it => it !== name)
        const shown = `${text}\n=> ${added}\n=> ${restored}`
        expect(during, shown).toContain(name)
        expect(others(during), shown).toEqual(others(before))
        expect(others(after), shown).toEqual(others(before))
        if (after.includes(name)) expect(notes, shown).toBeGreaterThan(0)
        if (!before.includes(name)) expect(after, shown).toEqual(before)
      }
    })
  }, 300_000)
})

/** A module with `with pkgs;` in random places around `l`. */
function moduleOf(choices: Choices): string {
  const isAround = choices.chance(30)
  const isRec = isAround && choices.chance(30)
  const body = listOf(choices, isAround, 2)
  const set = isRec ? `rec { l = ${body}; _module.args.git = "a"; }` : `{ l = ${body}; }`
  return `{ lib, pkgs, other, on, ... }: ${isAround ? 'with pkgs; ' : ''}${set}`
}

/** A list, or lists joined by `++`. `isBelow`: a `with pkgs;` is around it. */
function listOf(choices: Choices, isBelow: boolean, depth: number): string {
  const inner = (below = isBelow) => listOf(choices, below, depth - 1)
  const item = (below: boolean) =>
    (below && choices.chance(60) ? '' : 'pkgs.') + choices.pick(...NAMES)
  if (depth === 0 || choices.chance(20)) {
    const items = Array.from({ length: choices.count(3) }, () => item(isBelow))
    return `[ ${items.join(' ')} ]`.replace('  ', ' ')
  }
  switch (choices.count(9)) {
    case 0:
      return `(with pkgs; ${inner(true)})`
    case 1:
      return `(with pkgs; with lib; ${inner(true)})`
    case 2:
      return `(with lib; with pkgs; ${inner(true)})`
    case 3:
      return `(with pkgs; with other; ${inner(true)})`
    case 4:
      return `(let vim = "my vim"; in ${inner()})`
    case 5:
      return `lib.optional on ${item(isBelow)}`
    case 6:
      return `lib.optionals on ${inner()
        .replace(/^(?!\(|\[)(.*)$/s, '($1)')
        .replace(/^(.*\+\+.*)$/s, '($1)')}`
    case 7:
      return `(if on then ${inner()} else ${inner()})`
    case 8:
      return `(with pkgs; lib.singleton ${item(true)})`
    default:
      return `${inner()} ++ ${inner()}`
  }
}
