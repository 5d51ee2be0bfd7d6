// Names and UUIDs that the module rejects, because virsh or libvirt would confuse the guests.

import { describe, expect, it } from 'vitest'
import { configExpression, describeWithOracle, evalNix } from '../oracle/evalModules.ts'
import { vfioModules, withNixos } from '../oracle/machines.ts'

const UUID = 'a4f3e9c6-5c0e-4a53-9d5f-3e0c6a1b7d21'

describeWithOracle('virtualisation.vfio.guests', oracle => {
  /** The messages of failed assertions for guests with these UUIDs, by name. */
  function failures(guests: Record<string, string>): unknown {
    const view =
      'config: map (it: it.message) (builtins.filter (it: !it.assertion) config.assertions)'
    const sets = Object.entries(guests).map(
      ([name, uuid]) => `"${name}".domain = { type = "kvm"; uuid = "${uuid}"; };`
    )
    const module = `{ virtualisation.vfio = { enable = true; guests = { ${sets.join(' ')} }; }; }`
    const result = evalNix(
      configExpression(oracle, view, { modules: [withNixos(''), vfioModules, module] })
    )
    return result.ok ? result.value : result.error
  }

  describe('the name of a guest', () => {
    it.each([' 7', '+7', UUID])('can\'t be "%s", which virsh reads as an ID or UUID', name => {
      const [message = '', ...more] = failures({ [name]: UUID }) as string[]
      expect([message.split(': ')[1], more]).toEqual([
        'virsh reads this name as an ID or a UUID, which may belong to another guest.\nChoose another name.\n',
        []
      ])
    })
    it.each(['-7', '7a', '--help', 'my windows', UUID.slice(1)])('can be "%s"', name => {
      expect(failures({ [name]: UUID })).toEqual([])
    })
  })

  it('rejects guests with the same UUID', () => {
    expect(
      failures({ win10: UUID, linux: UUID.replace('a', 'b'), windows: UUID.toUpperCase() })
    ).toEqual([
      `virtualisation.vfio.guests.win10 and virtualisation.vfio.guests.windows have the same UUID, so
libvirt treats them as one guest. If you renamed a guest, remove its old name; otherwise give
one of them a new UUID from \`uuidgen'.
`
    ])
  })
})
