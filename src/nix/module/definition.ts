import type { SyntaxNode } from '../syntax/tree.ts'
import type { Place } from '../text/lines.ts'

/** One place in a module that defines an option, or the options below an attribute path. */
export interface Definition {
  /** The names of the option; undefined for a computed one, such as `${user}`. */
  path: readonly (string | undefined)[]
  /** The `name = value;`, or the name inside an `inherit`. */
  binding: SyntaxNode
  /** The expression after `=`; for an `inherit`, the name. */
  value: SyntaxNode
  /** The source of the value. */
  source: string
  at: Place
  inherited: boolean
  /**
   * The conditions under which the sets around the definition apply, as source: `config.my.on` of an
   * `mkIf`. An `mkIf` around the value itself is part of `source`.
   */
  conditions: readonly string[]
  /** The `mkForce`, `mkDefault`, … around the sets that contain the definition, outermost first. */
  priorities: readonly string[]
  /**
   * The modules around it inside this one, outermost first: functions that are values of options, such
   * as `{ pkgs, ... }: { … }` for a user of home-manager, and modules written in `imports`.
   */
  modules: readonly SyntaxNode[]
}

/** Where a new definition would apply only under a condition. */
export interface ConditionalPlace {
  /** The `{ … }`, or the list of a `mkMerge`, that the definition would be added to. */
  node: SyntaxNode
  /** The place of `node`. */
  at: Place
  /** The conditions under which `node` applies, as source, outermost first. */
  conditions: readonly string[]
}
