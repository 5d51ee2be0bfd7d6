import { defineConfig } from 'vitest/config'

// `npm run test:quick`; see CONTRIBUTING.md. test/support/needing.ts reads the same variable.
const isQuick = process.env.VFIO_PATCH_TEST === 'quick'

/** What a quick run leaves out. */
const SLOW = [
  // Start the built program.
  'test/cli/**',
  'test/docs/stress.test.ts',
  'test/nix/memory.test.ts',
  // Write and sync real files, most of them as root or under strace.
  'test/storage/**',
  // Ask Nix or libvirt in nearly every test.
  'test/oracle/**',
  'test/guestService/**',
  // Hundreds to thousands of random documents, machines or guests for each test.
  'test/properties/**',
  'test/check/harmless.test.ts',
  'test/check/visiblePrompts.test.ts',
  'test/guests/properties.test.ts',
  'test/plan/diskSafety.test.ts',
  'test/plan/lockOut.test.ts',
  'test/plan/planFaultFixes.test.ts',
  'test/plan/virtualFunctions.test.ts',
  // Edits texts of a size that no configuration has, and measures the time.
  'test/nix/limits.test.ts',
  // Replaces a module, which other tests of the same worker have already loaded.
  'test/nix/injectedFault.test.ts'
]

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    // The tests of a quick run change nothing outside of themselves, so that files can share a worker and what
    // it has loaded. This saves more than half of the time.
    ...(isQuick ? { exclude: SLOW, isolate: false } : {})
  }
})
