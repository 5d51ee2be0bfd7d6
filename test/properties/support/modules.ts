// NixOS modules as users write them, with the options that they define.

import type { Choices } from './choices.ts'
import * as values from './values.ts'
import { blockComment, gap, lineComment, type Style } from './values.ts'

export type Kind = 'scalar' | 'list' | 'lines' | 'set'

export interface Option {
  path: readonly string[]
  kind: Kind
}

export interface GeneratedModule {
  text: string
  /** The options that the module defines, possibly only under a condition. */
  options: readonly Option[]
  /** Whether the module system can call it. It can't call a curried function. */
  isCallable: boolean
  /** Whether its line endings are CRLF. */
  isCrlf: boolean
}

const POOL: readonly Option[] = [
  { path: ['boot', 'kernelParams'], kind: 'list' },
  { path: ['networking', 'hostName'], kind: 'scalar' },
  { path: ['boot', 'initrd', 'kernelModules'], kind: 'list' },
  { path: ['boot', 'loader', 'timeout'], kind: 'scalar' },
  { path: ['boot', 'extraModprobeConfig'], kind: 'lines' },
  { path: ['users', 'users', 'alice', 'extraGroups'], kind: 'list' },
  { path: ['users', 'users', 'alice', 'uid'], kind: 'scalar' },
  { path: ['users', 'users', 'my.user', 'extraGroups'], kind: 'list' },
  { path: ['users', 'mutableUsers'], kind: 'scalar' },
  { path: ['services', 'openssh', 'enable'], kind: 'scalar' },
  { path: ['environment', 'etc', 'a/b.conf', 'text'], kind: 'lines' },
  { path: ['fileSystems', '/', 'options'], kind: 'list' },
  { path: ['virtualisation', 'docker', 'enable'], kind: 'scalar' },
  { path: ['virtualisation', 'libvirtd'], kind: 'set' },
  { path: ['custom', 'base'], kind: 'list' },
  { path: ['system', 'stateVersion'], kind: 'scalar' }
]

/** The content of a set by name: options, and inner sets. */
type Tree = Map<string, Tree | Option>

export function moduleOf(c: Choices): GeneratedModule {
  const head = headOf(c)
  const style: Style = {
    unit: c.pick('  ', '  ', '\t', '    '),
    tight: c.chance(25),
    lib: head.lib,
    merge: head.lib,
    lets: false,
    noise: c.pick(0, 0, 3, 12)
  }
  const wrappers = wrappersOf(c, style)
  const options = POOL.filter(it => it.path[0] === 'boot' || c.chance(45))
  const chosen = options.filter(() => !c.chance(30))
  const body = bodyOf(c, wrappers.style, chosen, head.isPlain)
  const { before, after } = wrappers
  const top = c.chance(15) ? `${lineComment(c)}\n` : ''
  const lf = `${top}${head.text}${before}${body}${after}${c.chance(10) ? '' : '\n'}`
  const isCrlf = c.chance(12)
  return {
    text: isCrlf ? lf.replaceAll('\n', '\r\n') : lf,
    options: chosen,
    isCallable: head.isCallable,
    isCrlf
  }
}

interface Head {
  text: string
  lib: string | undefined
  isCallable: boolean
  isPlain: boolean
}

function headOf(c: Choices): Head {
  const lib = (text: string, prefix = 'lib.'): Head => {
    return { text, lib: prefix, isCallable: true, isPlain: false }
  }
  return c.pick(
    lib('{ config, lib, pkgs, ... }:\n'),
    lib('{ config, lib, pkgs, ... }:\n\n'),
    { text: '', lib: undefined, isCallable: true, isPlain: true },
    lib('{ lib, ... }: '),
    lib('{\n  config,\n  lib,\n  ...\n}:\n'),
    lib('{ config\n, lib # the library\n, ...\n}:\n'),
    lib('{ lib, ... }@args:\n'),
    lib('args@{ lib, ... }:\n'),
    lib('args:\n', 'args.lib.'),
    { ...lib('inputs: { lib, ... }:\n'), isCallable: false },
    { ...lib('{ inputs, ... }:\n{ lib, ... }:\n'), isCallable: false }
  )
}

interface Wrappers {
  before: string
  after: string
  style: Style
}

function wrappersOf(c: Choices, style: Style): Wrappers {
  let wrappers: Wrappers = { before: '', after: '', style }
  for (let more = c.count(2); more > 0; more--) {
    const { before, after, style } = wrappers
    wrappers = c.pick<() => Wrappers>(
      () => ({ before: `${before}${letOf(c)}`, after, style: { ...style, lets: true } }),
      () => ({ before: `${before}assert true;\n`, after, style }),
      () =>
        style.lib === undefined
          ? wrappers
          : {
              before: `${before}let inherit (${style.lib.slice(0, -1)}) ${INHERITED.join(' ')}; in\n`,
              after,
              style: { ...style, lib: '', merge: undefined }
            },
      () => ({ before: `${before}(`, after: `)${after}`, style }),
      () =>
        style.lib === undefined
          ? wrappers
          : {
              before: `${before}with ${style.lib.slice(0, -1) || 'lib'};\n`,
              after,
              style: { ...style, lib: '', merge: '' }
            }
    )()
    if (wrappers.style.lib === '') break
  }
  return wrappers
}

const INHERITED = [
  'mkOption',
  'mkIf',
  'mkForce',
  'mkDefault',
  'mkOverride',
  'mkAfter',
  'mkBefore',
  'optional',
  'optionals'
]

function letOf(c: Choices): string {
  const extra = c.pick(
    '',
    '  call = { a, b, }: a;\n',
    '  # boot.kernelParams = [ ];\n',
    '  boot = { kernelParams = [ ]; };\n'
  )
  return c.pick(
    `let\n  word = "ann";\n  names = [ "n1" "n2" ];\n${extra}in\n`,
    `let word = "ann"; names = [ "n1" ]; in\n`,
    `let\n  word = "ann";\n\n  names = [\n    "n1" # one\n  ];\n${extra}in `
  )
}

function bodyOf(c: Choices, style: Style, options: readonly Option[], isPlain: boolean): string {
  const { lib, merge, unit } = style
  const imports = importsOf(c, style)
  const odd = isPlain ? 20 : 8
  const all = (indent: string, chosen = options, oddities = odd) =>
    bindingsOf(c, style, treeOf(chosen), indent, oddities)
  const half = Math.ceil(options.length / 2)
  const shape = c.pick(
    'plain',
    'plain',
    'plain',
    'plain',
    'config',
    'dotted',
    'merge',
    'if',
    'update'
  )
  const declared =
    lib === undefined ? 'options = { };' : `options.mine.on = ${lib}mkOption { default = 1; };`
  switch (shape) {
    case 'config':
      return setOf(
        c,
        style,
        [...imports, declared, `config = ${setOf(c, style, all(unit + unit), unit)};`],
        ''
      )
    case 'dotted':
      return setOf(
        c,
        style,
        [...imports, declared, ...all(unit, options, 0).map(it => `config.${it}`)],
        ''
      )
    case 'merge': {
      if (lib === undefined || merge === undefined) break
      const [one, two] = [options.slice(0, half), options.slice(half)]
      const inner = unit + unit
      const first = setOf(c, style, all(inner + unit, one), inner)
      const second = setOf(c, style, all(inner + unit, two), inner)
      const condition = c.pick('true', 'false')
      const merged = `[\n${inner}${first}\n${inner}(${lib}mkIf ${condition} ${second})\n${unit}]`
      return setOf(c, style, [...imports, `config = ${merge}mkMerge ${merged};`], '')
    }
    case 'if': {
      if (lib === undefined) break
      const inner = setOf(c, style, all(unit + unit), unit)
      return setOf(c, style, [...imports, `config = ${lib}mkIf true ${inner};`], '')
    }
    case 'update': {
      // The first set loses the names that the second has too.
      const [one, two] = [options.slice(0, half), options.slice(half)]
      const first = setOf(c, style, [...imports, ...all(unit, one)], '')
      return `${first} // ${setOf(c, style, all(unit, two), '')}`
    }
    default:
  }
  return setOf(c, style, [...imports, ...all(unit)], '')
}

function importsOf(c: Choices, style: Style): string[] {
  if (!c.chance(60)) return []
  const { unit } = style
  const inner = unit + unit
  const list = c.pick(
    `[ ./zz-a.nix ]`,
    `[\n${inner}./zz-a.nix\n${unit}]`,
    `[ ]`,
    `[]`,
    `[./zz-a.nix]`,
    `[ # the first\n${inner}./zz-a.nix\n${unit}]`,
    `\n${inner}[ ./zz-a.nix\n${inner}]`,
    `[ ./zz-a.nix ] ++ [ ./zz-b.nix ]`,
    `[\n${inner}(import ./zz-a.nix)\n${inner}# ./zz-b.nix\n${unit}]`,
    `map (it: it) [ ./zz-a.nix ]`,
    `if true then [ ./zz-a.nix ] else [ ]`
  )
  return [`imports = ${list};`]
}

function treeOf(options: readonly Option[]): Tree {
  const root: Tree = new Map()
  for (const option of options) {
    let at = root
    for (const name of option.path.slice(0, -1)) {
      const next = at.get(name)
      const branch: Tree = next instanceof Map ? next : new Map()
      at.set(name, branch)
      at = branch
    }
    at.set(option.path.at(-1) ?? '', option)
  }
  return root
}

/** The bindings of a level, as texts whose later lines are indented by `indent`. */
function bindingsOf(c: Choices, style: Style, tree: Tree, indent: string, odd: number): string[] {
  const bindings = [...tree].flatMap(([name, node]) => {
    const source = nameOf(c, name)
    if (!(node instanceof Map))
      return [
        `${source}${assign(c, style, indent)}${printedValue(c, style, node.kind, indent)}${end(c, style)}`
      ]
    const nested = (inside: Tree, isWhole: boolean) => {
      const set = setOf(c, style, bindingsOf(c, style, inside, indent + style.unit, 0), indent)
      return `${source}${assign(c, style, indent)}${isWhole ? wrapSet(c, set) : set}${end(c, style)}`
    }
    const dotted = (inside: Tree) =>
      bindingsOf(c, style, inside, indent, 0).map(it => `${source}${dot(c, style)}${it}`)
    const entries = [...node]
    // In a recursive set, other values may use an option as a variable.
    if (name === 'custom') {
      const used = c.pick('derived = base;', 'derived = [ base ];', 'other = 1;')
      const inside = [...bindingsOf(c, style, node, indent + style.unit, 0), used]
      return [`custom = rec ${setOf(c, style, inside, indent)};`]
    }
    return c.pick(
      () => dotted(node),
      () => [nested(node, true)],
      // Nix merges such bindings only if the set is a literal.
      () => [nested(new Map(entries.slice(0, 1)), false), ...dotted(new Map(entries.slice(1)))]
    )()
  })
  if (c.chance(odd)) bindings.splice(c.count(bindings.length), 0, oddBinding(c, style, indent))
  return bindings
}

function nameOf(c: Choices, name: string): string {
  if (!/^[a-z]+$/i.test(name)) return `"${name}"`
  return c.chance(5) ? `"${name}"` : name
}

const dot = (c: Choices, style: Style) =>
  style.noise > 0 && c.chance(style.noise / 3) ? c.pick(' . ', ' /* . */ .', '.\n') : '.'

const assign = (c: Choices, style: Style, indent: string) =>
  `${gap(c, style, indent)}=${gap(c, style, indent + style.unit)}`

const end = (c: Choices, style: Style) =>
  style.noise > 0 && c.chance(style.noise / 3) ? ' ;' : ';'

/** A set literal, possibly inside an expression that the toolkit recognizes. */
function wrapSet(c: Choices, set: string): string {
  return c.chance(8) ? c.pick(`(${set})`, `let q = 1; in ${set}`, `with { }; ${set}`) : set
}

function printedValue(c: Choices, style: Style, kind: Kind, indent: string): string {
  switch (kind) {
    case 'list':
      return values.list(c, style, indent)
    case 'lines':
      return values.lines(c, style, indent)
    case 'scalar':
      return values.scalar(c, style, indent)
    case 'set':
      return c.pick('{ }', '{}', `{\n${indent}}`, `{\n${indent}${style.unit}# nothing\n${indent}}`)
  }
}

/** Definitions outside the pool of options, which must not change. */
function oddBinding(c: Choices, style: Style, indent: string): string {
  const inner = indent + style.unit
  return c.pick(
    `odd = rec { base = [ "x" ]; derived = base; };`,
    `inherit ({ taken = 1; }) taken;`,
    `odd.\${"fixed"} = 1;`,
    `odd.text = ''\n${inner}boot.kernelParams = [ "no" ];\n${inner}# }\n${indent}'';`,
    `odd.call = { a, b, }: a;`,
    `odd.url = http://example.org/a#b;`.replace('#b', ''),
    `odd.path = ./. + "/a";`,
    ...(style.lets ? ['odd.${word} = 1;', 'odd."x${word}" = { boot.kernelParams = [ ]; };'] : []),
    `specialisation.x.configuration = { ... }: { boot.kernelParams = [ "other" ]; };`
  )
}

function setOf(c: Choices, style: Style, bindings: readonly string[], indent: string): string {
  const inner = indent + style.unit
  const noisy = style.noise > 0
  if (bindings.length === 0) {
    return c.pick(
      '{ }',
      '{}',
      `{\n${indent}}`,
      `{\n${inner}${lineComment(c)}\n${indent}}`,
      `{ ${blockComment(c)} }`
    )
  }
  const isShort = bindings.every(it => !it.includes('\n')) && bindings.join('').length < 60
  if (isShort && c.chance(20)) return `{ ${bindings.join(' ')} }`
  const habit = c.pick('none', 'some', 'all')
  const first = noisy && c.chance(8) ? ` ${lineComment(c)}` : ''
  const lines: string[] = []
  for (const [i, binding] of bindings.entries()) {
    if (i > 0 && (habit === 'all' || (habit === 'some' && c.chance(40)))) lines.push('')
    if (noisy && c.chance(15)) lines.push(`${inner}${lineComment(c)}`)
    if (noisy && c.chance(5)) lines.push(`${inner}${blockComment(c)}`)
    const trailing = noisy && c.chance(15) ? ` ${c.pick(lineComment(c), blockComment(c))}` : ''
    const last = lines.at(-1)
    const joins = last !== undefined && /^[^#]*;$/.test(last) && c.chance(4)
    if (joins) lines[lines.length - 1] = `${last} ${binding}${trailing}`
    else lines.push(`${inner}${binding}${trailing}`)
  }
  if (noisy && c.chance(12))
    lines.push(...c.pick([], ['']), `${inner}# boot.kernelParams = [ "off" ];`)
  if (c.chance(3)) lines.push('')
  const isClosed = c.chance(4) && /^[^#]*;$/.test(lines.at(-1) ?? '')
  const isOpened = c.chance(4) && lines[0]?.startsWith(inner) === true && first === ''
  const body = lines.join('\n')
  return `{${isOpened ? ` ${body.slice(inner.length)}` : `${first}\n${body}`}${isClosed ? ' }' : `\n${indent}}`}`
}
