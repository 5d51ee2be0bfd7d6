import { readFileSync, realpathSync } from 'node:fs'
import { relative } from 'node:path'
import { locate } from '../apply/locate.ts'
import type { FileChange } from '../files/change.ts'
import { commit } from '../files/commit.ts'
import type { FileProblem } from '../files/problem.ts'
import type { Run } from '../files/run.ts'
import { lastRun, listRuns, runById } from '../files/runs.ts'
import { locateTarget } from '../files/target.ts'
import { planUndo } from '../files/undo.ts'
import type { Result } from '../nix/result.ts'
import { fail, type Screens, say, stateFolderHere } from './applyCommand.ts'
import { ask } from './ask.ts'
import { EXIT, type Message, usage } from './message.ts'
import { type Context, commitMessage, readMessage } from './messages.ts'
import type { Arguments } from './parseArguments.ts'
import { readRoot } from './planCommand.ts'
import { paintPatch, patchOf } from './showDiff.ts'
import { VERSION } from './version.ts'
import { warningLine } from './warnings.ts'

/** `undo`: takes the last run that changed the file back, byte for byte. Returns the exit code. */
export async function undoCommand(given: Arguments, screens: Screens): Promise<number> {
  const root = readRoot(given)
  if (!root.ok) return fail(root.error)
  const state = stateFolderHere(root.value)
  const options = { root: realRoot(root.value) }
  if (given.on('list') === true) return list(listRuns(state, options), given, screens)

  const location = locate(given.file, root.value, process.env)
  const context: Context = {
    command: 'undo',
    file: location.path,
    color: screens.err.color,
    width: screens.err.width
  }
  if (given.on('quiet') === true && given.on('yes') !== true && given.on('dry-run') !== true) {
    return fail(usage('--quiet does not go with a question.', { remedy: 'add --yes' }))
  }
  const id = given.text('run')
  const target = locateTarget(location.path, { root: root.value })
  if (!target.ok && id === undefined) return fail(readMessage(target.error, context))
  const run =
    id !== undefined
      ? runById(state, id, options)
      : lastRun(state, target.ok ? target.value.realpath : location.path, options)
  if (!run.ok) return fail(noRun(run.error, id, context))
  const changes = planUndo(run.value)
  if (!changes.ok) return fail(readMessage(changes.error, context))
  if (changes.value.length === 0) {
    if (given.on('quiet') !== true) say(`Nothing to do: run ${run.value.id} is taken back already.`)
    return EXIT.done
  }
  if (given.on('quiet') !== true) show(run.value, changes.value, screens)
  if (given.on('dry-run') === true) return EXIT.differences

  if (given.on('yes') !== true) {
    if (!process.stdin.isTTY || !process.stderr.isTTY || given.on('input') === false) {
      return fail(
        usage(
          'cannot ask for confirmation: standard input is not a terminal. Nothing was written.',
          { remedy: 'look at the change with --dry-run, then add --yes' }
        )
      )
    }
    const answer = await ask('Take this back? [y/N] ')
    if (answer !== 'yes') {
      say(answer === 'cancelled' ? 'Cancelled. Nothing was written.' : 'Nothing was written.')
      return answer === 'cancelled' ? EXIT.cancelled : EXIT.differences
    }
  }
  const committed = commit(changes.value, {
    stateFolder: state,
    backup: true,
    command: 'undo',
    tool: VERSION,
    root: root.value
  })
  if (!committed.ok) return fail(commitMessage(committed.error, context))
  for (const it of committed.value.warnings) process.stderr.write(warningLine(it))
  if (given.on('quiet') !== true) {
    say(`Took back run ${run.value.id}: ${changes.value.map(describe).join(', ')}.`)
  }
  return committed.value.warnings.length > 0 ? EXIT.followUp : EXIT.done
}

function realRoot(root: string): string {
  try {
    return realpathSync(root)
  } catch {
    // A root that is not there has no runs; the reader of the file says so.
    return root
  }
}

function noRun(problem: FileProblem, id: string | undefined, context: Context): Message {
  const message = readMessage(problem, context)
  if (problem.code !== 'NO_RUN' || id === undefined) return message
  return { ...message, what: `there is no run ${id}.` }
}

function list(runs: Result<Run[], FileProblem>, given: Arguments, screens: Screens): number {
  if (!runs.ok) {
    const context = { command: 'undo', file: '', color: false, width: screens.err.width }
    return fail(readMessage(runs.error, context))
  }
  if (runs.value.length === 0 && given.on('quiet') !== true) say('No runs yet.')
  for (const run of runs.value) {
    const files = run.files.map(it => it.path).join(' ')
    process.stdout.write(`${run.id}  ${run.command.padEnd(5)}  ${files}\n`)
  }
  return EXIT.done
}

function show(run: Run, changes: readonly FileChange[], screens: Screens): void {
  say(`Run ${run.id} (${run.command}) will be taken back: ${changes.map(describe).join(', ')}`)
  const shown = changes.map(({ realpath, before, after }) => ({
    name: relative(run.root, realpath),
    before: before === null ? undefined : readFileSync(realpath, 'utf8'),
    after: after === null ? undefined : Buffer.from(after).toString('utf8')
  }))
  // Of a file that goes, the name says enough.
  const patch = patchOf(
    shown.filter(it => it.after !== undefined),
    3
  )
  process.stdout.write(paintPatch(patch, screens.out))
}

function describe({ realpath, before, after }: FileChange): string {
  if (after === null) return `${realpath} goes`
  return before === null ? `${realpath} comes back` : `${realpath} as it was`
}
