import type { NixDocument } from '../document.ts'
import type { Module } from '../module/module.ts'

/** The document before some edits and after them, each with its module. */
export interface Sides {
  before: NixDocument
  after: NixDocument
  old: Module
  fresh: Module
}
