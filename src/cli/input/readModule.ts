import { join } from 'node:path'
import { locate } from '../../apply/read/locate.ts'
import { MOST_BYTES } from '../../apply/read/readInputs.ts'
import { readTarget, type TargetFile } from '../../files/target.ts'
import { decode } from '../../nix/index.ts'
import { err, ok, type Result } from '../../nix/result.ts'
import { type Context, callOn, nameOfFile } from '../context.ts'
import { EXIT, type Message } from '../message.ts'
import { readMessage } from '../messages/fileMessages.ts'
import { nixMessage } from '../messages/messages.ts'
import { watch } from '../watched.ts'

/**
 * Reads the module that the person named, or the configuration where they named none. `contextFor`
 * gives what the messages name, from the path that it is found at. `store` is for a file that is
 * only read.
 */
export function readModule(
  file: string | undefined,
  root: string,
  contextFor: (path: string) => Context,
  store = false
): Result<{ target: TargetFile; text: string; context: Context }, Message> {
  const location = locate(file, root, process.env)
  const context = contextFor(location.path)
  if (location.kind === 'empty-folder') return err(emptyFolder(location.flake, context))
  const target = readTarget(location.path, { root, store, most: MOST_BYTES })
  if (!target.ok) return err(readMessage(target.error, context))
  watch(target.value.realpath, context.file, target.value)
  const text = decodeModule(target.value.bytes, context)
  return text.ok ? ok({ target: target.value, text: text.value, context }) : text
}

/** The text of a module's bytes; an empty one is refused. */
export function decodeModule(bytes: Uint8Array, context: Context): Result<string, Message> {
  const text = decode(bytes)
  if (!text.ok) return err(nixMessage(text.error, context))
  return text.value.trim() === '' ? err(emptyFile(context)) : text
}

function emptyFolder(flake: boolean, context: Context): Message {
  const { file: folder } = context
  if (flake) {
    const example = callOn(join(folder, 'hosts/pc/configuration.nix'), context)
    return {
      code: 'WRONG_KIND',
      exit: EXIT.refused,
      what: `${folder} holds a flake and no configuration.nix. Nothing was written.`,
      why: 'the flake only lists the modules; the settings go into one of them.',
      remedy: `pass the module that flake.nix lists under modules, e.g. ${example}`
    }
  }
  return {
    code: 'NOT_FOUND',
    exit: EXIT.io,
    what: `there is no configuration.nix in ${folder}.`,
    remedy: `pass the file: ${callOn(join(folder, 'YOUR-FILE.nix'), context)}`
  }
}

function emptyFile(context: Context): Message {
  return {
    code: 'NOT_A_MODULE',
    exit: EXIT.refused,
    what: `${nameOfFile(context)} is empty. Nothing was written.`,
    remedy: 'pass a module, that is a file like { config, pkgs, ... }: { … }'
  }
}
