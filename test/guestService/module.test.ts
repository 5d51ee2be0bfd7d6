// What the configuration refuses of its guests, as virsh would confuse them with each other.

import { describe, expect, it } from 'vitest'
import { configExpression, describeWithOracle, evalNix } from '../oracle/evalModules.ts'
import { ours, withNixos } from '../oracle/machines.ts'

const UUID = 'a4f3e9c6-5c0e-4a53-9d5f-3e0c6a1b7d21'

describeWithOracle('virtualisation.vfio.guests', oracle => {
  /** What does not hold for these guests, each with its UUID. */
  function failures(guests: Record<string, string>): unknown {
    const view =
      'config: map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions)'
    const sets = Object.entries(guests).map(
      ([name, uuid]) => `"${name}".domain = { type = "kvm"; uuid = "${uuid}"; };`
    )
    const module = `{ virtualisation.vfio = { enable = true; guests = { ${sets.join(' ')} }; }; }`
    const result = evalNix(
      configExpression(oracle, view, { modules: [withNixos(''), ours, module] })
    )
    return result.ok ? result.value : result.error
  }

  describe('names that virsh takes for a guest of another name', () => {
    it.each([' 7', '+7', UUID])('"%s"', name => {
      const [message = '', ...more] = failures({ [name]: UUID }) as string[]
      expect([message.split(': ')[1], more]).toEqual([
        'virsh takes this name for the number or the UUID of a guest, which may be another\none. Choose another name.\n',
        []
      ])
    })
    it.each(['-7', '7a', '--help', 'my windows', UUID.slice(1)])('but not "%s"', name => {
      expect(failures({ [name]: UUID })).toEqual([])
    })
  })

  it('guests with the same UUID', () => {
    expect(
      failures({ win10: UUID, linux: UUID.replace('a', 'b'), windows: UUID.toUpperCase() })
    ).toEqual([
      `virtualisation.vfio.guests.win10 and virtualisation.vfio.guests.windows have the same UUID, and are
one guest to libvirt. If one is the old name of the other, take it out; else give one of
them another UUID, which \`uuidgen' makes.
`
    ])
  })
})
