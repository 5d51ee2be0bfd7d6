import { err, ok, type Result } from '../../nix/result.ts'
import { parseAddress } from '../../vfio/parseSettings.ts'
import { type Message, usage } from '../message.ts'
import type { Arguments } from './parseArguments.ts'

/** The addresses that a flag was given with, each once. */
export function readAddresses(flag: string, given: Arguments): Result<string[], Message> {
  const found: string[] = []
  for (const value of given.texts(flag) ?? []) {
    const address = parseAddress(value)
    if (!address.ok) {
      const { message } = address.error
      return err(
        usage(`--${flag}: ${message}.`, { remedy: '"vfio-patch scan" shows the addresses' })
      )
    }
    found.push(address.value)
  }
  return ok([...new Set(found)])
}
