import { readFileSync, realpathSync } from 'node:fs'
import { relative } from 'node:path'
import { locate } from '../apply/locate.ts'
import type { FileChange } from '../files/change.ts'
import { commit } from '../files/commit.ts'
import { outerPath, type Run } from '../files/run.ts'
import { lastRun, listRuns, runById } from '../files/runs.ts'
import { locateTarget } from '../files/target.ts'
import { planUndo } from '../files/undo.ts'
import { err, type Result } from '../nix/result.ts'
import { confirm } from './confirm.ts'
import { type Context, callOn, contextOf } from './context.ts'
import { commitMessage, readMessage, warningLine } from './fileMessages.ts'
import { EXIT, type Message, usage } from './message.ts'
import type { Arguments } from './parseArguments.ts'
import { nextStep, readRoot, stateFolderHere } from './root.ts'
import { fail, say } from './say.ts'
import { paintPatch, patchOf } from './showDiff.ts'
import type { Screens } from './showPlan.ts'
import { VERSION } from './version.ts'

/** `undo`: takes the last run that changed the file back, byte for byte. Returns the exit code. */
export async function undoCommand(given: Arguments, screens: Screens): Promise<number> {
  const root = readRoot(given)
  if (!root.ok) return fail(root.error)
  const { path } = locate(given.file, root.value, process.env)
  const start = contextOf('undo', path, root.value, given, screens.err)
  const quiet = given.on('quiet') === true
  if (given.on('list') === true) return listAll(given, start, quiet)
  if (quiet && given.on('yes') !== true && given.on('dry-run') !== true) {
    return fail(
      usage('--quiet does not go with a question.', {
        remedy: 'add --yes, or leave --quiet away'
      })
    )
  }
  const run = chooseRun(given, start)
  if (!run.ok) return fail(run.error)
  const { id, command } = run.value
  const context = { ...start, undoes: command }
  const changes = planUndo(run.value)
  if (!changes.ok) return fail(readMessage(changes.error, context))
  if (changes.value.length === 0) {
    if (!quiet) say(`Nothing to do: run ${id} is taken back already.`)
    return EXIT.done
  }
  if (!quiet) show(run.value, changes.value, given.on('verbose') === true, screens)
  if (given.on('dry-run') === true) return EXIT.differences

  const refusal = await confirm('Take this back? [y/N] ', given)
  if (refusal !== undefined) return refusal
  const committed = commit(changes.value, {
    stateFolder: stateFolderHere(root.value),
    backup: true,
    command: 'undo',
    tool: VERSION,
    root: root.value
  })
  if (!committed.ok) return fail(commitMessage(committed.error, context))
  const { warnings } = committed.value
  for (const it of warnings) process.stderr.write(warningLine(it, context))
  if (!quiet) {
    say(`Took back run ${id}.`)
    say(nextStep(root.value))
  }
  return warnings.length > 0 ? EXIT.followUp : EXIT.done
}

/** The run that `--run` names, else the last one that changed the file. */
function chooseRun(given: Arguments, context: Context): Result<Run, Message> {
  const { file, root } = context
  const state = stateFolderHere(root)
  const options = { root: realpathSync(root) }
  const target = locateTarget(file, { root })
  const id = given.text('run')
  if (id === undefined) {
    if (!target.ok) return err(readMessage(target.error, context))
    const last = lastRun(state, target.value.realpath, options)
    return last.ok ? last : err(readMessage(last.error, context))
  }
  const named = runById(state, id, options)
  if (!named.ok) {
    const message = readMessage(named.error, context)
    return err(
      named.error.code === 'NO_RUN' ? { ...message, what: `there is no run ${id}.` } : message
    )
  }
  const changed = target.ok && touches(named.value, target.value.realpath)
  if (given.file === undefined || changed) return named
  return err(
    usage(`run ${id} did not change ${file}.`, {
      remedy: `${callOn(undefined, context)} --run ${id}`
    })
  )
}

function touches(run: Run, realpath: string): boolean {
  return run.files.some(it => outerPath(it.path, run.root) === realpath)
}

/** Prints the runs, the newest first: all, or those that changed the file that was named. */
function listAll(given: Arguments, context: Context, quiet: boolean): number {
  const runs = listRuns(stateFolderHere(context.root), { root: realpathSync(context.root) })
  if (!runs.ok) return fail(readMessage(runs.error, context))
  const target = locateTarget(context.file, { root: context.root })
  const listed = runs.value.filter(
    run => given.file === undefined || (target.ok && touches(run, target.value.realpath))
  )
  if (listed.length === 0 && !quiet) say('No runs yet.')
  const width = Math.max(5, ...listed.map(it => it.command.length))
  for (const run of listed) {
    const files = run.files.map(it => it.path).join(' ')
    process.stdout.write(`${run.id}  ${run.command.padEnd(width)}  ${files}\n`)
  }
  return EXIT.done
}

/** The patch, whole where a program reads it; on a terminal files that come or go by name only. */
function show(run: Run, changes: readonly FileChange[], verbose: boolean, screens: Screens): void {
  say(`Run ${run.id} (${run.command}) will be taken back:`)
  for (const it of changes) say(`  ${describe(it)}`)
  const files = changes.map(({ realpath, before, after }) => ({
    name: relative(run.root, realpath),
    before: before === null ? undefined : readFileSync(realpath, 'utf8'),
    after: after === null ? undefined : Buffer.from(after).toString('utf8')
  }))
  const whole = verbose || !screens.out.isTerminal
  const shown = files.filter(it => whole || (it.before !== undefined && it.after !== undefined))
  process.stdout.write(paintPatch(patchOf(shown, 3), screens.out))
}

function describe({ realpath, before, after }: FileChange): string {
  if (after === null) return `${realpath} goes`
  return before === null ? `${realpath} comes back` : `${realpath} as it was`
}
