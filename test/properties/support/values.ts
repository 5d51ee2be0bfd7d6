// Values as users write them, in all layouts and forms that the toolkit should recognize.

import type { Choices } from './choices.ts'

/** The scope and the layout of the text around a value. */
export interface Style {
  /** One level of indentation. */
  unit: string
  /** `[x]` instead of `[ x ]`. */
  tight: boolean
  /** The prefix of mkIf and similar functions: `lib.`, empty after `with lib;`; undefined without lib. */
  lib: string | undefined
  /** The prefix of mkMerge; undefined if only other functions of lib are inherited. */
  merge: string | undefined
  /** Whether a `let` around the value binds `flag`, `names` and `word`. */
  lets: boolean
  /** The percentage of gaps between tokens with a comment or a line break. */
  noise: number
}

const NOTES = ['note', '"x" ]', '{ a = 1; }', "it's ''", 'a = [ "b" ];', '${x}', 'ä 🎉'] as const

export function lineComment(c: Choices): string {
  return `#${c.pick(' ', '', '! ')}${c.pick(...NOTES)}`
}

export function blockComment(c: Choices): string {
  return `/*${c.pick(' ', '\n', '*')}${c.pick(...NOTES)} ${c.pick('', '\n  ] } ', '*')}*/`
}

/** The text between two tokens; mostly one space. */
export function gap(c: Choices, style: Style, indent: string): string {
  if (!c.chance(style.noise)) return ' '
  return c.pick(
    '  ',
    ` ${blockComment(c)} `,
    `\n${indent}`,
    ` ${lineComment(c)}\n${indent}`,
    `\n${indent}${lineComment(c)}\n\n${indent}`
  )
}

const STRINGS = [
  '"quiet"',
  '"a b"',
  '"# [ ] { } ; \\" \\${x}"',
  '"/* no comment */"',
  "''one''",
  '"ä 🎉"',
  '""'
] as const

const STRING_TEXTS = [
  (inner: string, outer: string) =>
    `''\n${inner}options a=1\n\n${inner}  # [ ] ''$ '''\n${outer}''`,
  (inner: string, outer: string) => `''\n${inner}x \${toString 1} "y"\n${outer}''`,
  () => '"a=${toString 1} # b"',
  () => '"first\\nsecond"'
] as const

/** A string, a number or a boolean, not a list or a set. */
export function scalar(c: Choices, style: Style, indent: string): string {
  const plain = () =>
    c.pick('true', '1', c.pick(...STRINGS), '-2', 'null', '1.5', './a.nix', '"x" + "y"', 'false')
  const { lib } = style
  const forms = [
    plain,
    plain,
    plain,
    plain,
    () => `(${plain()})`,
    () => c.pick(...STRING_TEXTS)(`${indent}${style.unit}`, indent),
    () => `if true then ${plain()} else ${plain()}`,
    () => `let q = ${plain()}; in q`,
    () => `"sub" +\n${indent}${style.unit}"string"`,
    ...(style.lets ? [() => 'word'] : []),
    ...(lib === undefined
      ? []
      : [
          () => `${lib}mkForce ${c.pick(...STRINGS)}`,
          () => `${lib}mkDefault ${c.pick('true', '7', '(if true then 1 else 2)')}`,
          () => `${lib}mkOverride 40 ${c.pick(...STRINGS)}`,
          () => `${lib}mkIf ${c.pick('true', 'false')} ${c.pick(...STRINGS)}`
        ])
  ] as const
  return c.pick(...forms)()
}

/** A string that consists of lines. */
export function lines(c: Choices, style: Style, indent: string): string {
  const text = c.pick(...STRING_TEXTS)(`${indent}${style.unit}`, indent)
  return style.lib !== undefined && c.chance(20) ? `${style.lib}mkAfter ${text}` : text
}

const ITEMS = [
  '"quiet"',
  '"splash"',
  '"a=1"',
  "''two words''",
  '"# ] \\""',
  '3',
  '(1 + 1)',
  '"x${toString 1}"'
] as const

/** A list literal in one of the usual layouts. */
export function literalList(c: Choices, style: Style, indent: string): string {
  const items: string[] = Array.from({ length: c.count(4) }, () => c.pick(...ITEMS))
  const inner = indent + style.unit
  const between = () => gap(c, style, inner)
  const pad = style.tight ? '' : ' '
  const layout = c.pick('line', 'lines', 'rows', 'opened', 'closed')
  if (items.length === 0) {
    return c.pick(
      '[ ]',
      '[]',
      `[\n${indent}]`,
      `[\n${inner}${lineComment(c)}\n${indent}]`,
      `[ ${blockComment(c)} ]`
    )
  }
  if (layout === 'line') {
    const spaced = items.reduce((all, it) => `${all}${between()}${it}`)
    return `[${pad}${spaced}${style.noise > 0 && c.chance(10) ? ` ${blockComment(c)}` : ''}${pad}]`
  }
  if (layout === 'rows') {
    const half = Math.ceil(items.length / 2)
    const rows = [items.slice(0, half), items.slice(half)].filter(it => it.length > 0)
    return `[\n${rows.map(it => inner + it.join(' ')).join('\n')}\n${indent}]`
  }
  const rows = items.map((it, i) => {
    const above = style.noise > 0 && c.chance(15) && i > 0 ? `${inner}${lineComment(c)}\n` : ''
    const trailing =
      style.noise > 0 && c.chance(25) ? ` ${c.pick(lineComment(c), blockComment(c))}` : ''
    return `${above}${layout === 'opened' && i === 0 ? '' : inner}${it}${trailing}`
  })
  const tail = style.noise > 0 && c.chance(20) ? `\n${inner}# "commented-out"` : ''
  const open = layout === 'opened' ? '[ ' : '[\n'
  const isClosed = layout === 'closed' && !rows.at(-1)?.includes('#') && tail === ''
  return `${open}${rows.join('\n')}${tail}${isClosed ? ' ]' : `\n${indent}]`}`
}

/** A value that is or evaluates to a list. */
export function list(c: Choices, style: Style, indent: string): string {
  const { lib, merge } = style
  const literal = () => literalList(c, style, indent)
  const short = () => c.pick('[ "b" ]', '[ ]', '["c" "d"]', '[\n"e" # e\n]')
  const truth = () => c.pick('true', 'false')
  const forms = [
    literal,
    literal,
    literal,
    () => `(${literal()})`,
    () => `${literal()} ++ ${short()}`,
    () => `${literal()}\n${indent}${style.unit}++ (if ${truth()} then ${short()} else ${short()})`,
    () => `if ${truth()} then ${literal()} else ${short()}`,
    () => `let q = "z"; in ${literal()}`,
    () => `with { q = 1; }; ${literal()}`,
    () => `map (it: it + "") [ "mapped" ]`,
    ...(style.lets ? [() => 'names', () => `names ++ ${literal()}`] : []),
    ...(lib === undefined
      ? []
      : [
          () => `${lib}mkForce ${literal()}`,
          () => `${lib}mkDefault ${literal()}`,
          () => `${lib}mkAfter ${literal()}`,
          () => `${lib}mkBefore (${literal()})`,
          () => `${lib}optionals ${truth()} ${literal()}`,
          () => `${literal()} ++ ${lib}optionals ${truth()} ${short()}`,
          () => `${lib}optional ${truth()} "o" ++ ${literal()}`,
          () => `${lib}mkIf ${truth()} ${literal()}`
        ]),
    ...(lib === undefined || merge === undefined
      ? []
      : [
          () => `${merge}mkMerge [ ${literal()} (${lib}mkIf ${truth()} ${short()}) ]`,
          () => `${merge}mkMerge [ ${short()} (${lib}mkForce ${literal()}) ]`,
          () => `${merge}mkMerge [ (${lib}mkDefault ${short()}) ${literal()} ]`
        ])
  ] as const
  return c.pick(...forms)()
}
