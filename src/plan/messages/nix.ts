// Sentences about what Nix checks or computes.

/** Why a check with Nix has no result. */
export const SKIPPED = {
  notFound: 'nix-instantiate was not found',
  isOff: 'switched off',
  notWorking: 'nix-instantiate does not work here',
  rejectsOriginal: 'nix-instantiate also rejects the original file'
}

// Errors of the Nix expression that computes a domain. `name` and `names` are source text of interpolations.

export function missingArgument(name: string): string {
  return `the file needs \`${name}', which only a complete NixOS configuration provides`
}

export function severalGuests(names: string): string {
  return `the file defines several guests (${names}); give each a file of its own`
}

export const NO_DOMAIN = 'the file has no virtualisation.vfio.guests.NAME.domain'
