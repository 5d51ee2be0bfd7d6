// data/edit-cases.json has 50 situations of real modules: the text, right and tempting wrong edits (with
// a label that begins with "naive"), and the evaluated value of the option after each.
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { parseDocument, type Transaction } from '../../src/nix/index.ts'
import { type EditOf, edited, refusalOf } from './support.ts'

interface Situation {
  n: number
  title: string
  option: string
  before: string
  after: { label: string; text: string }[]
}

const situations: Situation[] = JSON.parse(
  readFileSync(new URL('data/edit-cases.json', import.meta.url), 'utf8')
)

/** The expected result of a situation: one of its right texts, a refusal, the changed or the original text. */
type Then = 'right' | { code: string } | { replace: [string, string] } | 'unchanged'

const importModule: EditOf = it => it.import('./vfio.nix')
const IMPORT: Then = { replace: ['\n{\n', '\n{\n  imports = [ ./vfio.nix ];\n\n'] }

// By number, unless it is `addIn(option, ['X'])` with one of the right texts.
const SPECIAL: Record<number, [EditOf | undefined, Then]> = {
  // After the value and its condition; the data suggests another file.
  9: [undefined, { replace: ['[ "quiet" ]', '[ "quiet" "X" ]'] }],
  15: [importModule, IMPORT],
  18: [it => it.setIn('boot.kernelParams', ['X']), { code: 'CONFLICT' }],
  19: [it => it.addIn('users.users.ann.extraGroups', ['X']), 'right'],
  20: [
    it => it.addIn('users.users.bob.extraGroups', ['X']),
    { replace: ['[ "wheel" ]; };\n', '[ "wheel" ]; };\n    bob.extraGroups = [ "X" ];\n'] }
  ],
  22: [importModule, IMPORT],
  23: [importModule, IMPORT],
  // Like the data, but over lines.
  25: [
    undefined,
    {
      replace: [
        'lib.mkIf config.my.on {\n    boot.kernelParams = [ "quiet" ];\n  };',
        'lib.mkMerge [\n    (lib.mkIf config.my.on {\n      boot.kernelParams = [ "quiet" ];\n    })\n    {\n      boot.kernelParams = [ "X" ];\n    }\n  ];'
      ]
    }
  ],
  27: [importModule, { code: 'NO_TARGET' }],
  28: [importModule, 'right'],
  29: [importModule, 'right'],
  30: [importModule, 'right'],
  31: [importModule, { code: 'INHERITED' }],
  32: [importModule, 'right'],
  33: [importModule, 'unchanged'],
  34: [importModule, 'right'],
  35: [it => it.setIn('virtualisation.libvirtd.enable', true), 'right'],
  36: [it => it.setIn('virtualisation.libvirtd.enable', true), { code: 'AMBIGUOUS_TARGET' }],
  37: [
    it => it.setIn('virtualisation.libvirtd.enable', true),
    { replace: ['inherit enable;', 'enable = true;'] }
  ],
  38: [it => it.addIn('boot.extraModprobeConfig', ['options X']), 'right'],
  39: [it => it.addIn('boot.extraModprobeConfig', ['options X'], { lines: true }), 'right'],
  40: [it => it.addIn('boot.kernelParams', ['a=${b}']), 'right'],
  46: [undefined, { code: 'ENCODING' }],
  47: [undefined, { code: 'ENCODING' }],
  // Into the list in the inline module; the data adds a second definition.
  42: [undefined, { replace: ['[ "quiet" ]', '[ "quiet" "X" ]'] }],
  49: [importModule, 'right'],
  50: [it => it.addIn('users.users.ann.extraGroups', ['X']), 'right']
}

describe('the 50 situations', () => {
  it.each(situations)(
    'situation $n has the expected result: $title',
    ({ n, option, before, after }) => {
      const [edit = (it: Transaction) => it.addIn(option, ['X']), then] = SPECIAL[n] ?? [
        undefined,
        'right'
      ]
      if (typeof then === 'object' && 'code' in then) {
        expect(refusalOf(before, edit)).toBe(then.code)
        return
      }
      const result = edited(before, edit)
      const wrong = after.filter(it => it.label.startsWith('naive')).map(it => it.text)
      expect(wrong).not.toContain(result)
      if (then === 'unchanged') expect(result).toBe(before)
      else if (then === 'right') {
        const right = after.filter(it => !it.label.startsWith('naive')).map(it => it.text)
        expect(right).toContain(result)
      } else expect(result).toBe(before.replace(...then.replace))
    }
  )

  it('never result in one of the naive edits', () => {
    for (const { n, option, before, after } of situations) {
      if (option.includes('<')) continue
      const wrong = after.filter(it => it.label.startsWith('naive')).map(it => it.text)
      const edits: EditOf[] = [
        it => it.addIn(option, ['X']),
        it => it.setIn(option, ['X']),
        it => it.addIn(option, ['X'], { at: 'start' }),
        importModule
      ]
      for (const edit of edits) {
        const plan = edit(parseDocument(before).edit()).plan()
        if (plan.ok) expect(wrong, `${n}`).not.toContain(plan.value.text)
        if (!plan.ok) expect(plan.error.code, `${n}`).not.toBe('VERIFICATION_FAILED')
      }
    }
  })
})
