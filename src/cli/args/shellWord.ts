import { visible } from '../../nix/text/visible.ts'

/**
 * A word as a shell reads it back: as it is where that is safe, else in single quotes; in the quotes
 * `$'…'` of bash and zsh where a terminal would not show what the word says.
 */
export function shellWord(word: string): string {
  if (/^[\w@%+=:,./-]+$/.test(word)) return word
  if (!isShown(word)) return `$'${[...word].map(spelled).join('')}'`
  return `'${word.replaceAll("'", "'\\''")}'`
}

function isShown(text: string): boolean {
  return visible(text) === text && !/[\n\r\t]/.test(text)
}

/** The bytes of a character where it is not shown, in octal: these end by themselves. */
function spelled(character: string): string {
  if (character === "'" || character === '\\') return `\\${character}`
  if (isShown(character)) return character
  return [...Buffer.from(character)].map(it => `\\${it.toString(8).padStart(3, '0')}`).join('')
}
