import type { ForeignKind } from '../configuration/kind.ts'
import type { NixError } from '../nix/index.ts'

/** Why a run can't go on, as data; the command line words it. */
export type ApplyProblem =
  /** The configuration can't be edited as asked; the error says where and why. */
  | { code: 'NIX'; path: string; error: NixError }
  /** Nothing was chosen, and the configuration has nothing of ours. */
  | { code: 'NOTHING_CHOSEN'; path: string }
  /** Several boot entries have options of ours, and none was named; or all have (`everywhere`) and some more. */
  | { code: 'SEVERAL_PROFILES'; path: string; names: readonly string[]; everywhere: boolean }
  /** Every boot entry gives devices away, by this file or one that it imports; a new one (`name`) would inherit that. */
  | {
      code: 'GIVEN_EVERYWHERE'
      path: string
      name: string
      at: { path: string; line: number; column: number }
    }
  /**
   * Modules of others declare our options, and ours taking their place would change more than the
   * specialisation `name` that was asked for.
   */
  | { code: 'TAKE_OVER_FIRST'; path: string; name: string; import: ReplacedImport }
  /** The file is one that is not to be edited, or of another kind than a NixOS module. */
  | {
      code: 'WRONG_KIND'
      path: string
      kind: ForeignKind
    }
  /** The folder for our modules holds something else. */
  | { code: 'FOREIGN_FOLDER'; path: string; found: string }
  /** Modules of ours that somebody changed. */
  | { code: 'MODULES_EDITED'; path: string; names: string[] }
  /** The configuration (`importer` undefined), or another file that it imports, declares options of ours. */
  | {
      code: 'DECLARED_ELSEWHERE'
      path: string
      declaration: string
      importer: string | undefined
      option: string
    }
  /** Modules of others declare options of ours, and something they do or a person set would be lost without them. */
  | { code: 'NOT_TAKEN_OVER'; path: string; obstacles: readonly Obstacle[] }
  /** Another folder of ours is imported already; a second one would declare every option twice. */
  | { code: 'IMPORTED_ELSEWHERE'; path: string; folder: string; importer: string }
  /** The configuration itself says what the guest of this name is. */
  | { code: 'GUEST_DEFINED'; path: string; name: string; at: { line: number; column: number } }
  /** `path` is the file of another guest with this UUID, which is the same one to libvirt. */
  | { code: 'GUEST_UUID'; path: string; name: string; uuid: string }
  /** The guest's file was edited, or is not ours at all, and its XML is another one than it was made from. */
  | { code: 'GUEST_EDITED'; path: string; name: string; isOurs: boolean }
  /** The guest as Nix would not be the guest; a bug. */
  | { code: 'GUEST_NOT_CONVERTED'; path: string; message: string }
  /** Nix accepts the file as it is, and not what it would become. */
  | { code: 'PARSE_REJECTED'; path: string; output: string }
  /** The parse check was required and could not be made. */
  | { code: 'PARSE_CHECK_MISSING'; path: string; detail: string }

/** What keeps our modules from taking the place of others. */
export interface Obstacle {
  /**
   * An option that ours don't have, a value that these don't take, something else that the module does,
   * an import that can't be taken out, or one that stands in a flake.
   */
  kind: 'option' | 'value' | 'extra' | 'import' | 'flake'
  path: string
  /** The text of the file. */
  text: string
  range: { start: number; end: number }
  /** What is there, in one sentence without a final period. */
  what: string
  /** What to do about it, where that is not the same for all of its kind. */
  advice?: string
}

/** Why our part can't be taken out. */
export type RemoveProblem =
  | ApplyProblem
  /** What would be left needs an option or a module that goes. */
  | { code: 'STILL_USED'; path: string; uses: readonly UsePlace[] }
  /** Another file of the repository, which the configuration does not import, needs them. */
  | { code: 'USED_ELSEWHERE'; path: string; uses: readonly UsePlace[] }

/** A place that needs an option of ours, or one of our modules. */
export interface UsePlace {
  path: string
  /** The text of the file. */
  text: string
  kind: 'definition' | 'reading' | 'module'
  /** The option, or the path to the module as it is spelt. */
  name: string
  /** Offsets in the text. */
  range: { start: number; end: number }
}

export interface ReplacedImport {
  path: string
  line: number
  column: number
  /** The import as it is spelt. */
  spelling: string
  /** An option that it declares. */
  option: string
}
