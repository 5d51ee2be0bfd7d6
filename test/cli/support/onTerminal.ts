import { fileURLToPath } from 'node:url'
import { finish } from './finish.ts'
import { BIN, type Place } from './place.ts'
import { readable } from './text.ts'

/** What a person does when this text has appeared on the terminal. */
export type Step =
  | { until: string; send: string }
  /** A script of the shell comes first. */
  | { until: string; run: string; send: string }
  | { until: string; signal: NodeJS.Signals }
  /** Closes the window. */
  | { until: string; close: true }

export interface Shown {
  /** All that the terminal showed, colors by name. */
  terminal: string
  /** What went into a pipe instead. */
  stdout: string
  stderr: string
  /** The exit code; negative for the signal that ended it. */
  code: number
  /** Whether the terminal was left as it was found. */
  restored: boolean
}

export interface TerminalOptions {
  steps?: readonly Step[]
  width?: number
  env?: Record<string, string>
  pipes?: readonly ('stdout' | 'stderr')[]
}

/** Calls vfio-patch on a terminal; streams in `pipes` are not on it. */
export async function onTerminal(
  place: Place,
  words: readonly string[],
  options: TerminalOptions = {}
): Promise<Shown> {
  const { sent: _, ...shown } = await sentToTerminal(place, words, options)
  return shown
}

/** The same, and all that the terminal got as it was `sent`. */
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

/** The interpreter itself, as what is found by its name may be a slow script. */
function python(): Promise<string> {
  const ask = async () => {
    const { stdout } = await finish(['python3', '-c', 'import sys; print(sys.executable)'])
    return stdout.trim()
  }
  found ??= ask()
  return found
}
