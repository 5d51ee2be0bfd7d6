// The error that a caller gets if the planning of edits has a bug.

import { spawnSync } from 'node:child_process'

import { describe, expect, it, vi } from 'vitest'
import { parseDocument } from '../../src/nix/index.ts'
import { refused } from './support.ts'

vi.mock('../../src/nix/edit/set.ts', async importOriginal => {
  const original = await importOriginal<typeof import('../../src/nix/edit/set.ts')>()
  const planSet: typeof original.planSet = (doc, module, operation) => {
    const edits = original.planSet(doc, module, operation)
    const offset = doc.text.indexOf('"pc"')
    const fault = { offset, length: 4, content: '"tower"' }
    return edits.ok && offset > 0 ? { ok: true, value: [...edits.value, fault] } : edits
  }
  return { ...original, planSet }
})

describe('an edit that also changes something else', () => {
  it('an unrequested change is refused with its option, the value before and the value after', () => {
    const text = '{\n  services.fwupd.enable = false;\n  networking.hostName = "pc";\n}\n'
    expect(`\n${refused(text, it => it.setIn('services.fwupd.enable', true))}\n`).toBe(`
3:25: VERIFICATION_FAILED: the result differs from the request: networking.hostName changes from "pc" to "tower"
3 |   networking.hostName = "tower";
                            ^^^^^^^
hint: nothing was changed; please report this as a bug, with the file if you can
`)
  })

  it('an edit is accepted if planning adds no unrequested change', () => {
    const plan = parseDocument('{ a = 1; }').edit().setIn('a', 2).plan()
    expect(plan.ok && plan.value.text).toBe('{ a = 2; }')
  })
})

describe('NODE_DEBUG=vfio-patch', () => {
  const built = (file: string) =>
    JSON.stringify(new URL(`../../dist/nix/${file}`, import.meta.url).href)

  // In a separate process, because Node reads the variable when it starts.
  const traceWith = (debug: string) => {
    const script = `
      import { parseDocument } from ${built('index.js')}
      import { verify } from ${built('verify/verify.js')}
      const doc = parseDocument('{ a = 1; b = "secret"; }')
      const edits = [{ offset: 14, length: 6, content: 'other' }]
      const target = { kind: 'path', path: ['a'] }
      console.log(verify(doc, doc.edited(edits), edits, [{ kind: 'set', target, value: 2 }]).code)
    `
    return spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      env: { ...process.env, NODE_DEBUG: debug },
      encoding: 'utf8'
    })
  }

  it('traces which check refused a result, without text of the document', () => {
    const { stderr, stdout } = traceWith('vfio-patch')
    expect(stdout).toBe('VERIFICATION_FAILED\n')
    expect(stderr.replace(/\d+/, 'PID')).toBe(
      'VFIO-PATCH PID: verification refused by differences: change of another option\n'
    )
  })

  it('traces nothing if the variable is empty', () => {
    const { stderr, stdout } = traceWith('')
    expect([stderr, stdout]).toEqual(['', 'VERIFICATION_FAILED\n'])
  })
})
