import type { ForeignKind } from '../configuration/kind.ts'
import type { NixError } from '../nix/index.ts'

/** Why a run can't continue. The command line has the sentences for these. */
export type ApplyProblem =
  /** The edit is not possible; the error says where and why. */
  | { code: 'NIX'; path: string; error: NixError }
  /** No settings were given, and the configuration is not set up yet. */
  | { code: 'NOTHING_CHOSEN'; path: string }
  /**
   * Options are in several specialisations (`names`), or in some and also in the configuration itself
   * (`everywhere`), but the user did not name one of them.
   */
  | { code: 'SEVERAL_PROFILES'; path: string; names: readonly string[]; everywhere: boolean }
  /** The configuration passes devices through in every boot entry (`at`), so the new entry `name` would do so too. */
  | {
      code: 'GIVEN_EVERYWHERE'
      path: string
      name: string
      at: { path: string; line: number; column: number }
    }
  /**
   * Other modules declare vfio-patch's options. Replacing these modules would change more than the requested
   * specialisation `name`.
   */
  | { code: 'TAKE_OVER_FIRST'; path: string; name: string; import: ReplacedImport }
  /** The file is generated or not a NixOS module. */
  | {
      code: 'WRONG_KIND'
      path: string
      kind: ForeignKind
    }
  /** The folder for the modules contains a foreign file (`found`), or is not a folder (`found` is `path`). */
  | { code: 'FOREIGN_FOLDER'; path: string; found: string }
  /** Installed modules were edited. */
  | { code: 'MODULES_EDITED'; path: string; names: string[] }
  /** The configuration (`importer` undefined) or an imported file declares one of vfio-patch's options. */
  | {
      code: 'DECLARED_ELSEWHERE'
      path: string
      declaration: string
      importer: string | undefined
      option: string
    }
  /** Other modules declare vfio-patch's options. Replacing these modules would lose something. */
  | { code: 'NOT_TAKEN_OVER'; path: string; obstacles: readonly Obstacle[] }
  /** The modules are already imported from another folder; a second import would declare every option twice. */
  | { code: 'IMPORTED_ELSEWHERE'; path: string; folder: string; importer: string }
  /** Another file, or a file with several guests, already defines the guest of this name. */
  | { code: 'GUEST_DEFINED'; path: string; name: string; at: { line: number; column: number } }
  /** `path` is another guest's file with the same UUID; to libvirt, both would be the same guest. */
  | { code: 'GUEST_UUID'; path: string; name: string; uuid: string }
  /** The guest's file was edited, or not made by vfio-patch (`hasStamp` is false), and the XML has changed. */
  | { code: 'GUEST_EDITED'; path: string; name: string; hasStamp: boolean }
  /** The guest in Nix differs from the guest in XML, which is a bug. */
  | { code: 'GUEST_NOT_CONVERTED'; path: string; message: string }
  /** Nix accepts the current file but not the new one. */
  | { code: 'PARSE_REJECTED'; path: string; output: string }
  /** The parse check was required but not possible. */
  | { code: 'PARSE_CHECK_MISSING'; path: string; detail: string }

/** A reason why other modules can't be replaced. */
export interface Obstacle {
  /**
   * An unknown option, a value that an option does not accept, something else that the module does, an import
   * that can't be removed, or a module in a flake.
   */
  kind: 'option' | 'value' | 'extra' | 'import' | 'flake'
  path: string
  /** The text of the file. */
  text: string
  range: { start: number; end: number }
  /** What is wrong, in one sentence without a final period. */
  what: string
  /** What to do about it; by default the advice for the kind. */
  advice?: string
}

/** Why vfio-patch's part of a configuration can't be removed. */
export type RemoveProblem =
  | ApplyProblem
  /** The rest of the configuration needs a removed option or module. */
  | { code: 'STILL_USED'; path: string; uses: readonly UsePlace[] }
  /** A file of the repository that the configuration does not import needs a removed option or module. */
  | { code: 'USED_ELSEWHERE'; path: string; uses: readonly UsePlace[] }

/** A place that needs an option or a module of vfio-patch. */
export interface UsePlace {
  path: string
  /** The text of the file. */
  text: string
  kind: 'definition' | 'reading' | 'module'
  /** The option, or the path to the module as it is written there. */
  name: string
  /** Offsets in the text. */
  range: { start: number; end: number }
}

export interface ReplacedImport {
  path: string
  line: number
  column: number
  /** The import as written. */
  spelling: string
  /** One of vfio-patch's options that the imported module declares. */
  option: string
}
