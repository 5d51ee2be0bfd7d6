import { spawn } from 'node:child_process'

/** Runs a command to its end, with `input` on standard input. */
export function finish(
  command: readonly string[],
  options: { cwd?: string; env?: Record<string, string>; input?: string } = {}
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const [program = '', ...args] = command
  const { input, ...where } = options
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      ...where,
      stdio: ['pipe', 'pipe', 'pipe'],
      timeout: 25_000
    })
    const texts = { stdout: '', stderr: '' }
    child.stdout.setEncoding('utf8').on('data', part => {
      texts.stdout += part
    })
    child.stderr.setEncoding('utf8').on('data', part => {
      texts.stderr += part
    })
    child.on('error', reject).on('close', code => resolve({ code, ...texts }))
    // The command may end without reading its input.
    child.stdin.on('error', () => {}).end(input)
  })
}
