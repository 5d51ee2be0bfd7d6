// What `apply` and `diff` have in common: from the words of the command to a checked plan.

import { basename, dirname, isAbsolute, join, normalize, relative } from 'node:path'
import { followImports, type ImportClosure } from '../apply/importClosure.ts'
import { locate } from '../apply/locate.ts'
import { type ParseCheck, parseCheck } from '../apply/parseCheck.ts'
import { type ApplyPlan, planApply } from '../apply/planApply.ts'
import { moduleReader, readFolder } from '../apply/readInputs.ts'
import { shippedModules } from '../apply/shippedModules.ts'
import { readTarget, type TargetFile } from '../files/target.ts'
import { namesOf } from '../host/pciNames.ts'
import { decode } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { type Context, callOn, contextOf } from './context.ts'
import { readMessage } from './fileMessages.ts'
import { EXIT, type Message, usage } from './message.ts'
import { applyMessage, nixMessage } from './messages.ts'
import type { Arguments } from './parseArguments.ts'
import { readSettings } from './readSettings.ts'
import { readRoot } from './root.ts'
import type { Screen } from './terminal.ts'
import { VERSION } from './version.ts'

/** A plan that passed all checks, with what it takes to show and to write it. */
export interface Prepared {
  plan: ApplyPlan
  configuration: TargetFile
  /** Its `file` is the configuration as the person knows it: links not resolved. */
  context: Context
  check: ParseCheck
}

export function prepare(
  command: string,
  given: Arguments,
  screen: Screen
): Result<Prepared, Message> {
  const settings = readSettings(given)
  if (!settings.ok) return settings
  const root = readRoot(given)
  if (!root.ok) return root
  const folderName = readModulesDir(given)
  if (!folderName.ok) return folderName
  const checkMode = given.text('parse-check') ?? 'auto'
  if (!['auto', 'require', 'off'].includes(checkMode)) {
    return err(usage(`--parse-check takes auto, require or off, got "${checkMode}".`))
  }

  const location = locate(given.file, root.value, process.env)
  const context = contextOf(command, location.path, root.value, given, screen)
  if (location.kind === 'empty-folder') return err(emptyFolder(location.flake, context))
  const target = readTarget(location.path, { root: root.value })
  if (!target.ok) return err(readMessage(target.error, context))
  const text = decode(target.value.bytes)
  if (!text.ok) return err(nixMessage(text.error, context))
  if (text.value.trim() === '') return err(emptyFile(context))

  const path = target.value.realpath
  const closure = followImports({ path, text: text.value }, moduleReader(root.value))
  const modulesDir = folderName.value ?? oursIn(closure, path) ?? 'vfio'
  const folder = readFolder(join(dirname(path), modulesDir))
  const plan = planApply({
    path,
    text: text.value,
    settings: settings.value,
    modulesDir,
    modulesFolder: folder.path,
    listing: folder.listing,
    shipped: shippedModules(VERSION),
    replaceModules: given.on('replace-modules') === true,
    closure,
    names: namesOf(settings.value.devices ?? [])
  })
  if (!plan.ok) return err(applyMessage(plan.error, context))

  const check = checkMode === 'off' ? switchedOff() : checkAll(plan.value)
  if (check.status === 'rejected') {
    return err(applyMessage({ code: 'PARSE_REJECTED', path, output: check.output }, context))
  }
  if (check.status === 'skipped' && checkMode === 'require') {
    return err(applyMessage({ code: 'PARSE_CHECK_MISSING', path, detail: check.detail }, context))
  }
  return ok({ plan: plan.value, configuration: target.value, context, check })
}

function switchedOff(): ParseCheck {
  return { status: 'skipped', detail: 'switched off' }
}

function checkAll(plan: ApplyPlan): ParseCheck {
  let result: ParseCheck = { status: 'ok' }
  for (const { before, after } of plan.files) {
    const check = parseCheck(before, after)
    if (check.status === 'rejected') return check
    if (check.status === 'skipped') result = check
  }
  return result
}

/** The folder of ours that the configuration itself imports, relative to its own. */
function oursIn(closure: ImportClosure, configuration: string): string | undefined {
  const own = closure.ours.find(it => it.importer === configuration)
  const inside = own && relative(dirname(configuration), own.path)
  return inside === undefined || inside.startsWith('..') ? undefined : inside
}

function readModulesDir(given: Arguments): Result<string | undefined, Message> {
  const given_ = given.text('modules-dir')
  if (given_ === undefined) return ok(undefined)
  const path = normalize(given_).replace(/\/$/, '')
  if (isAbsolute(path) || path.startsWith('..') || path === '.') {
    return err(
      usage(`--modules-dir needs a folder beside the configuration, got "${given_}".`, {
        remedy: 'e.g. --modules-dir modules/vfio'
      })
    )
  }
  return ok(path)
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

function emptyFile({ file }: Context): Message {
  return {
    code: 'NOT_A_MODULE',
    exit: EXIT.refused,
    what: `${file} is empty. Nothing was written.`,
    remedy: 'pass a module, that is a file like { config, pkgs, ... }: { … }'
  }
}

/** A planned file's name as a patch and a person want it: relative to the configuration's folder. */
export function nameIn(configuration: TargetFile, path: string): string {
  const folder = dirname(configuration.realpath)
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : basename(path)
}
