const HELD: NodeJS.Signals[] = ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT']

/**
 * Keeps the signals that people and systems send from ending the process in the middle of
 * synchronous work, until the returned function is called. What arrives meanwhile reaches listeners
 * that the caller has, after that work; without one it is dropped.
 */
export function holdSignals(): () => void {
  const ignore = () => {}
  for (const signal of HELD) process.on(signal, ignore)
  return () => {
    for (const signal of HELD) process.off(signal, ignore)
  }
}
