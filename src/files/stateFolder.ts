import { join, resolve } from 'node:path'

/** What the place of the state folder depends on. */
export interface StateFolderFacts {
  /** The root of the system that is edited, `/` for the running one. */
  root: string
  uid: number
  home: string
  env: Record<string, string | undefined>
}

/**
 * The folder that keeps the runs: `$VFIO_PATCH_STATE` when set; for root `var/lib/vfio-patch` in
 * the root, so that it goes along with a system that is being installed; for others `vfio-patch` in
 * `$XDG_STATE_HOME`, by default `~/.local/state`.
 */
export function stateFolder({ root, uid, home, env }: StateFolderFacts): string {
  if (env.VFIO_PATCH_STATE) return resolve(env.VFIO_PATCH_STATE)
  if (uid === 0) return join(root, 'var/lib/vfio-patch')
  // The XDG rules: a relative path is invalid and counts as none.
  const base = env.XDG_STATE_HOME?.startsWith('/') ? env.XDG_STATE_HOME : join(home, '.local/state')
  return join(base, 'vfio-patch')
}

/** The folder with one folder for each run. */
export function runsFolder(state: string): string {
  return join(state, 'runs')
}
