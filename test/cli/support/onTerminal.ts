import { fileURLToPath } from 'node:url'
import { finish } from './finish.ts'
import { BIN, type Place } from './place.ts'
import { readable } from './text.ts'

/** What the user does after the text `until` has appeared on the terminal. */
export type Step =
  | { until: string; send: string }
  /** Runs a shell script first. */
  | { until: string; run: string; send: string }
  | { until: string; signal: NodeJS.Signals }
  /** Closes the terminal. */
  | { until: string; close: true }

export interface Shown {
  /** Everything that the terminal showed, with names in place of styles. */
  terminal: string
  /** The output of the streams that are pipes. */
  stdout: string
  stderr: string
  /** The exit code; for a signal, its negative number. */
  code: number
  /** Whether the settings of the terminal are the same as before. */
  restored: boolean
}

export interface TerminalOptions {
  steps?: readonly Step[]
  width?: number
  env?: Record<string, string>
  pipes?: readonly ('stdout' | 'stderr')[]
}

/** Runs vfio-patch on a terminal; the streams in `pipes` are pipes instead. */
export async function onTerminal(
  place: Place,
  words: readonly string[],
  options: TerminalOptions = {}
): Promise<Shown> {
  const { sent: _, ...shown } = await sentToTerminal(place, words, options)
  return shown
}

/** Like `onTerminal`; `sent` has the exact bytes that the terminal received. */
export async function sentToTerminal(
  place: Place,
  words: readonly string[],
  options: TerminalOptions = {}
): Promise<Shown & { sent: string }> {
  const pipes = options.pipes ?? []
  const job = {
    argv: [process.execPath, BIN, ...words],
    cwd: place.nixos,
    env: { ...place.env, ...options.env },
    width: options.width ?? 80,
    pipe: pipes.map(it => (it === 'stdout' ? 1 : 2)),
    steps: options.steps ?? []
  }
  const script = fileURLToPath(new URL('terminal.py', import.meta.url))
  const input = JSON.stringify(job)
  const { stdout, stderr } = await finish([await python(), script], { input })
  if (stderr !== '') throw new Error(stderr)
  const shown = JSON.parse(stdout)
  if (shown.unplayed.length > 0) {
    throw new Error(`never shown: ${shown.unplayed[0].until}; shown: ${shown.terminal}`)
  }
  const clean = (part: string) => place.plain(readable(part))
  return {
    terminal: clean(shown.terminal),
    sent: shown.terminal,
    stdout: clean(shown['1'] ?? ''),
    stderr: clean(shown['2'] ?? ''),
    code: shown.code,
    restored: shown.restored
  }
}

let found: Promise<string> | undefined

/** The path of the interpreter: `python3` in PATH may be a slow wrapper script. */
function python(): Promise<string> {
  const ask = async () => {
    const { stdout } = await finish(['python3', '-c', 'import sys; print(sys.executable)'])
    return stdout.trim()
  }
  found ??= ask()
  return found
}
