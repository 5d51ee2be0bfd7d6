import { runNix } from './runNix.ts'

/** What Nix itself says of a text. */
export type ParseCheck =
  | { status: 'ok' }
  /** Nix rejects the new text and accepts the old one. */
  | { status: 'rejected'; output: string }
  /** The check says nothing: there is no Nix, or it rejects the old text too. */
  | { status: 'skipped'; detail: string }

/**
 * Asks `nix-instantiate`, if there is one, whether it parses a text. Nothing is evaluated and no
 * file is made. Where it does not accept the text before (newer syntax than it knows), its word on
 * the text after is worth nothing.
 */
export function parseCheck(before: string | undefined, after: string): ParseCheck {
  const result = nixParses(after)
  if (result.status !== 'rejected') return result
  // A Nix that can't even parse this has trouble of its own, such as a home it can't enter.
  if (nixParses('{ }').status !== 'ok') {
    return { status: 'skipped', detail: 'nix-instantiate does not work here' }
  }
  return before !== undefined && nixParses(before).status === 'rejected'
    ? { status: 'skipped', detail: 'nix-instantiate does not accept the file as it is' }
    : result
}

function nixParses(text: string): ParseCheck {
  const run = runNix(['--parse'], text, 10)
  switch (run.status) {
    case 'ok':
      return { status: 'ok' }
    case 'failed':
      return { status: 'rejected', output: run.stderr.trim() }
    case 'missing':
      return { status: 'skipped', detail: run.detail }
  }
}
