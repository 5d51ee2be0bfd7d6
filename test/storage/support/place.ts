import { mkdirSync, mkdtempSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import type { CommitOptions } from '../../../src/storage/commit.ts'

/** A folder for one test: the configuration is in `nixos`; `state` doesn't exist yet. */
export interface Place {
  top: string
  nixos: string
  state: string
  options: CommitOptions
}

/** Creates a place that is deleted at the end of the test. */
export function makePlace(): Place {
  const top = realpathSync(mkdtempSync(join(tmpdir(), 'vfio-patch-test-')))
  onTestFinished(() => rmSync(top, { recursive: true, force: true }))
  return placeIn(top)
}

export function placeIn(top: string): Place {
  const nixos = join(top, 'nixos')
  const state = join(top, 'state')
  mkdirSync(nixos, { mode: 0o755 })
  const options: CommitOptions = {
    stateFolder: state,
    backup: true,
    command: 'apply',
    tool: '1.0.0',
    now: new Date('2026-11-22T16:03:12Z')
  }
  return { top, nixos, state, options }
}
