import type { NixDocument } from '../nix/index.ts'

/** Kinds of files that `apply` does not edit. */
export type ForeignKind =
  | 'flake'
  | 'flake-parts'
  | 'home-manager'
  | 'nix-darwin'
  | 'generated'
  | 'data'

export type FileKind = ForeignKind | 'module'

/**
 * The kind of a Nix file, judged by its text: a generated file, a flake, a module of flake-parts,
 * home-manager or nix-darwin, another attribute set (`data`), or otherwise a NixOS module.
 */
export function kindOf(doc: NixDocument): FileKind {
  if (isGenerated(doc.text)) return 'generated'
  const defines = (path: string) => doc.getIn(path).length > 0 || doc.getBelow(path).length > 0
  if (defines('outputs')) return 'flake'
  if (['perSystem', 'flake', 'flake-parts'].some(defines)) return 'flake-parts'
  if (['system.stateVersion', 'fileSystems', 'boot'].some(defines)) {
    return NIX_DARWIN.some(defines) ? 'nix-darwin' : 'module'
  }
  if (NIX_DARWIN.some(defines)) return 'nix-darwin'
  if (HOME_MANAGER.some(defines)) return 'home-manager'
  return isPlainSet(doc) && !NIXOS.some(defines) ? 'data' : 'module'
}

/** Whether the file is an attribute set without a function around it, like data files but few modules. */
function isPlainSet(doc: NixDocument): boolean {
  const module = doc.module()
  if (!module.ok || module.value.hasConfig) return false
  const [set] = module.value.sets
  return set?.start === doc.root.field('expression')?.start && (set?.children.length ?? 0) > 2
}

/** Whether a generator such as nixos-generate-config overwrites the file. */
export function isGenerated(text: string): boolean {
  return /^(?:\s*#[^\n]*\n){0,5}?\s*#\s*Do not modify this file!/i.test(text)
}

function words(text: string): readonly string[] {
  return text.split(/\s+/)
}

// Options of home-manager that NixOS does not have.
const HOME_MANAGER =
  words(`home.stateVersion home.username home.homeDirectory home.packages home.file
   home.sessionVariables home.sessionPath home.activation home.pointerCursor home.shellAliases home.keyboard
   xdg.configFile xdg.dataFile xdg.userDirs xdg.desktopEntries wayland.windowManager xsession dconf.settings
   systemd.user.sessionVariables systemd.user.startServices programs.home-manager`)

// Options of nix-darwin that NixOS does not have.
const NIX_DARWIN = ['homebrew', 'launchd', 'system.defaults', 'system.primaryUser']

// A NixOS module without a function around it sets at least one of these.
const NIXOS =
  words(`imports options boot console documentation environment fonts hardware home-manager i18n location
   networking nix nixpkgs powerManagement programs security services specialisation swapDevices system systemd
   time users virtualisation xdg zramSwap`)
