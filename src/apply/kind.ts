import type { NixDocument } from '../nix/index.ts'

export type FileKind = 'flake' | 'flake-parts' | 'home-manager' | 'generated' | 'module'

/**
 * What kind of Nix file this is, as far as one can tell from its text: a file that a generator
 * overwrites, a flake, a module of flake-parts or home-manager, or (else) a NixOS module.
 */
export function kindOf(doc: NixDocument): FileKind {
  if (isGenerated(doc.text)) return 'generated'
  const defines = (path: string) => doc.getIn(path).length > 0 || doc.getBelow(path).length > 0
  if (defines('outputs') && (defines('inputs') || defines('description'))) return 'flake'
  if (['perSystem', 'flake', 'flake-parts'].some(defines)) return 'flake-parts'
  if (isNixos(defines)) return 'module'
  if (HOME_MANAGER.some(defines)) return 'home-manager'
  return 'module'
}

// nixos-generate-config writes this at the head of hardware-configuration.nix.
function isGenerated(text: string): boolean {
  return /^(?:\s*#[^\n]*\n){0,5}?\s*#\s*Do not modify this file!/i.test(text)
}

function isNixos(defines: (path: string) => boolean): boolean {
  return ['system.stateVersion', 'fileSystems', 'boot'].some(defines)
}

// Options that home-manager has and NixOS has not.
const HOME_MANAGER = [
  'home.stateVersion',
  'home.username',
  'home.homeDirectory',
  'home.packages',
  'home.file',
  'home.sessionVariables',
  'home.sessionPath',
  'home.activation',
  'home.pointerCursor',
  'home.shellAliases',
  'home.keyboard',
  'xdg.configFile',
  'xdg.dataFile',
  'xdg.userDirs',
  'xdg.desktopEntries',
  'wayland.windowManager',
  'xsession',
  'dconf.settings',
  'systemd.user.sessionVariables',
  'systemd.user.startServices',
  'programs.home-manager'
]
