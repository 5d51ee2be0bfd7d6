// What `apply` and `diff` have in common: from the words of the command to a checked plan.

import { basename, dirname, isAbsolute, join, normalize } from 'node:path'
import { followImports } from '../apply/importClosure.ts'
import { locate } from '../apply/locate.ts'
import { type ParseCheck, parseCheck } from '../apply/parseCheck.ts'
import { type ApplyPlan, planApply } from '../apply/planApply.ts'
import { readFolder, readModule } from '../apply/readInputs.ts'
import { shippedModules } from '../apply/shippedModules.ts'
import { readTarget, type TargetFile } from '../files/target.ts'
import { namesOf } from '../host/pciNames.ts'
import { decode } from '../nix/index.ts'
import { err, ok, type Result } from '../nix/result.ts'
import { EXIT, type Message, usage } from './message.ts'
import { applyMessage, type Context, nixMessage, readMessage } from './messages.ts'
import type { Arguments } from './parseArguments.ts'
import { readSettings } from './readSettings.ts'
import type { Screen } from './terminal.ts'
import { VERSION } from './version.ts'

/** A plan that passed all checks, with what it takes to show and to write it. */
export interface Prepared {
  plan: ApplyPlan
  configuration: TargetFile
  /** The configuration as the person knows it: links not resolved. */
  shownPath: string
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
  if (location.kind === 'empty-folder')
    return err(emptyFolder(location.path, location.flake, command))
  const context: Context = {
    command,
    file: location.path,
    color: screen.color,
    width: screen.width
  }
  const target = readTarget(location.path, { root: root.value })
  if (!target.ok) return err(readMessage(target.error, context))
  const text = decode(target.value.bytes)
  if (!text.ok) return err(nixMessage(text.error, context))

  const path = target.value.realpath
  const closure = followImports({ path, text: text.value }, readModule)
  const modulesDir = folderName.value ?? oursIn(closure.ours) ?? 'vfio'
  const plan = planApply({
    path,
    text: text.value,
    settings: settings.value,
    modulesDir,
    listing: readFolder(join(dirname(path), modulesDir)),
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
  return ok({ plan: plan.value, configuration: target.value, shownPath: location.path, check })
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

/** The folder of ours that the configuration imports already. */
function oursIn(spelling: string | undefined): string | undefined {
  if (spelling === undefined || !spelling.startsWith('./')) return undefined
  return spelling.replace(/^\.\//, '').replace(/\/default\.nix$/, '')
}

/** `/`, or the folder that `--root` names. */
export function readRoot(given: Arguments): Result<string, Message> {
  const root = given.text('root')
  if (root === undefined) return ok('/')
  if (isAbsolute(root)) return ok(normalize(root))
  return err(
    usage(`--root needs an absolute directory, got "${root}".`, { remedy: 'e.g. --root /mnt' })
  )
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

function emptyFolder(path: string, flake: boolean, command: string): Message {
  if (flake) {
    return {
      code: 'WRONG_KIND',
      exit: EXIT.refused,
      what: `${path} holds a flake and no configuration.nix. Nothing was written.`,
      why: 'the flake only lists the modules; the settings go into one of them.',
      remedy: `pass the module that flake.nix lists under modules, e.g. vfio-patch ${command} ${join(path, 'hosts/pc/configuration.nix')}`
    }
  }
  return {
    code: 'NOT_FOUND',
    exit: EXIT.io,
    what: `there is no configuration.nix in ${path}.`,
    remedy: `pass the file: vfio-patch ${command} ${join(path, 'YOUR-FILE.nix')}`
  }
}

/** A planned file's name as a patch and a person want it: relative to the configuration's folder. */
export function nameIn(configuration: TargetFile, path: string): string {
  const folder = dirname(configuration.realpath)
  return path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : basename(path)
}
