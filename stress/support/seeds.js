// Random texts are read by another process, so that a crash or a hang can be told, with the seed of
// the text.

import { fork } from 'node:child_process'

/** How long a process may say nothing before it counts as hung, in milliseconds. */
const SILENCE = 60_000

/**
 * Has the seeds from `from` up to `to` tried by processes of `script`, one after the other. A process
 * gets the message `[from, to]`, and sends `{ at, ... }` when all seeds before `at` are done, after
 * at most `step` more of them, and `{ seed, fault }` for each fault that it sees itself. What it says of a
 * step goes to `collect`. A seed at which a process ends or hangs is a fault, too, and the next process
 * goes on behind it. Returns all faults as text.
 */
export async function tryInChildren(script, { from, to, step }, collect) {
  const faults = []
  for (let next = from; next < to; ) {
    const { at, end } = await runChild(script, next, to, collect, faults)
    next = at
    if (end) next = 1 + (await findCulprit(script, { from: at, to, step, end }, collect, faults))
  }
  return faults
}

/** The seed of a step that ended a process; the last one of the step if none does it alone. */
async function findCulprit(script, { from, to, step, end }, collect, faults) {
  const last = Math.min(to, from + step)
  for (let seed = from; seed < last; seed++) {
    const alone = await runChild(script, seed, seed + 1, collect, faults)
    if (!alone.end) continue
    faults.push(`seed ${seed}: ${alone.end}`)
    return seed
  }
  faults.push(`seeds ${from} to ${last - 1}: ${end}, but none of them alone`)
  return last - 1
}

/** How far one process came, and how it ended if that was not the end. */
function runChild(script, from, to, collect, faults) {
  return new Promise(resolve => {
    const child = fork(script)
    let at = from
    let timer
    const wait = () => {
      clearTimeout(timer)
      timer = setTimeout(() => child.kill('SIGKILL'), SILENCE)
    }
    wait()
    child.send([from, to])
    child.on('message', message => {
      wait()
      if (message.fault) faults.push(`seed ${message.seed}: ${message.fault}`)
      else {
        at = message.at
        collect(message)
      }
    })
    child.on('exit', (code, signal) => {
      clearTimeout(timer)
      const end = signal === 'SIGKILL' ? 'hung' : `ended with ${code ?? signal}`
      resolve({ at, end: at < to ? end : undefined })
    })
  })
}
