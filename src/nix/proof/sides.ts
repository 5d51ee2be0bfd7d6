import type { Module } from '../module/module.ts'
import type { Source } from '../source.ts'

/** The document before some edits and after them, each with its module. */
export interface Sides {
  before: Source
  after: Source
  old: Module
  fresh: Module
}
