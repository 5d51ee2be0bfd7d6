import type { XmlElement } from '../tree.ts'
import { mendArguments } from './arguments.ts'
import { draftOf, type Mended } from './change.ts'
import { mendFirmware } from './firmware.ts'
import { type Identities, mendIdentity } from './identity.ts'
import { mendMachine } from './machine.ts'
import { mendManaged } from './managed.ts'
import { mendEmulator, mendStorePaths } from './paths.ts'

/**
 * A domain from another system or time as NixOS can run it, and each change; the root that was given
 * stays as it is. What is right already is not touched, so mending twice changes nothing more. `virtual` are
 * the addresses of virtual functions of the host that libvirt is to manage, as far as it is known.
 */
export function mend(
  root: XmlElement,
  identities: Identities,
  virtual: ReadonlySet<string> = new Set()
): Mended & { root: XmlElement } {
  const draft = draftOf(root)
  const steps = [
    mendIdentity(draft, identities),
    mendMachine(draft),
    mendFirmware(draft),
    mendEmulator(draft),
    mendArguments(draft),
    mendManaged(draft, virtual),
    mendStorePaths(draft)
  ]
  return {
    root: draft,
    changes: steps.flatMap(it => it.changes),
    remarks: steps.flatMap(it => it.remarks)
  }
}
