// What undo shows before it asks, and the list of runs.

import { chownSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { AS_NOBODY, needing } from './support/needing.ts'
import { expectRefusal, makeExample, makePlace, type Outcome } from './support/place.ts'
import { text } from './support/text.ts'

const SUDO = process.getuid?.() === 0 ? 'sudo ' : ''

// Most of these tests run the program many times.
vi.setConfig({ testTimeout: 120_000 })

const OFF = '--parse-check=off'

needing('git')(
  'git apply accepts the patch of undo in the folder of the configuration',
  async () => {
    const place = makeExample()
    const before = place.files()
    await place.run(['apply', '-qy', 'configuration.nix', '--iommu', 'amd', OFF])
    const after = place.files()

    const { stdout, stderr, code } = await place.run(['undo', '-n', 'configuration.nix'])
    expect({ stderr, code, first: stdout.split('\n').slice(0, 2) }).toEqual({
      code: 1,
      first: ['--- a/configuration.nix', '+++ b/configuration.nix'],
      stderr: text`
      Run RUN-1 (apply) will be undone:
        /etc/nixos/configuration.nix as it was
        /etc/nixos/vfio/: 12 files are deleted
      `
    })
    writeFileSync(join(place.top, 'undo.patch'), stdout)
    expect(await place.run([], { script: 'git apply ../../undo.patch' })).toMatchObject({ code: 0 })
    expect(place.files()).toEqual(before)
    expect(await place.run([], { script: 'git apply -R ../../undo.patch' })).toMatchObject({
      code: 0
    })
    expect(place.files()).toEqual(after)
  }
)

test.concurrent('undo prints paths relative to a common folder if a run changed files outside the folder of the configuration', async () => {
  const place = makePlace({
    'hosts/pc/configuration.nix':
      '{ ... }: {\n  imports = [ ../../vm.nix ];\n  boot.kernelParams = [ "pci=nomsi" ];\n}\n',
    'vm.nix': '{ ... }: {\n  boot.kernelParams = [ "pci=nomsi" "quiet" ];\n}\n'
  })
  await place.run(['check', 'hosts/pc/configuration.nix', '--fix', '-qy', OFF])
  expect(await place.run(['undo', '-n', 'hosts/pc/configuration.nix'])).toEqual({
    code: 1,
    stdout: text`
      --- a/vm.nix
      +++ b/vm.nix
      @@ -1,3 +1,3 @@
       { ... }: {
      -  boot.kernelParams = [ "quiet" ];
      +  boot.kernelParams = [ "pci=nomsi" "quiet" ];
       }
      --- a/hosts/pc/configuration.nix
      +++ b/hosts/pc/configuration.nix
      @@ -1,4 +1,4 @@
       { ... }: {
         imports = [ ../../vm.nix ];
      -  boot.kernelParams = [ ];
      +  boot.kernelParams = [ "pci=nomsi" ];
       }
      `,
    stderr: text`
      Run RUN-1 (check) will be undone:
        /etc/nixos/vm.nix as it was
        /etc/nixos/hosts/pc/configuration.nix as it was
      `
  })
})

/** The output with DATE in place of each date, so that it can be compared. */
function dated({ code, stdout, stderr }: Outcome): Outcome {
  return { code, stdout: stdout.replace(/\b\d{4}-\d\d-\d\d \d\d:\d\d\b/g, 'DATE'), stderr }
}

const ON = ['configuration.nix', '-qy', OFF]

test.concurrent('undo --list shows dates and states, and a folder in place of its many files', async () => {
  const place = makePlace({ 'configuration.nix': '{ ... }: { }\n' })
  await place.run(['apply', ...ON, '--iommu', 'amd'])
  await place.run(['option', 'set', 'configuration.nix', 'a', '1', '-qy', OFF])
  await place.run(['remove', ...ON])
  expect(dated(await place.run(['undo', '--list']))).toEqual({
    code: 0,
    stdout: text`
      RUN-3  DATE  remove      current  /etc/nixos/configuration.nix /etc/nixos/vfio/ (12 files)
      RUN-2  DATE  option set           /etc/nixos/configuration.nix
      RUN-1  DATE  apply                /etc/nixos/vfio/ (12 files) /etc/nixos/configuration.nix
      `,
    stderr: 'current: the file is as this run left it\n'
  })
  await place.run(['undo', 'configuration.nix', '-qy'])
  await place.run(['undo', 'configuration.nix', '-qy'])
  await place.run(['undo', '--redo', 'configuration.nix', '-qy'])
  expect(dated(await place.run(['undo', '--list', 'configuration.nix']))).toEqual({
    code: 0,
    stdout: text`
      RUN-6  DATE  undo --redo  of RUN-2  /etc/nixos/configuration.nix
      RUN-5  DATE  undo         of RUN-2  /etc/nixos/configuration.nix
      RUN-4  DATE  undo         of RUN-3  /etc/nixos/vfio/ (12 files) /etc/nixos/configuration.nix
      RUN-3  DATE  remove       undone                /etc/nixos/configuration.nix /etc/nixos/vfio/ (12 files)
      RUN-2  DATE  option set   current               /etc/nixos/configuration.nix
      RUN-1  DATE  apply                              /etc/nixos/vfio/ (12 files) /etc/nixos/configuration.nix
      `,
    stderr: text`
      current: the file is as this run left it
      undone: "vfio-patch undo --redo FILE" redoes the last of these
      `
  })
  await place.run(['option', 'set', 'configuration.nix', 'b', '1', '-qy', OFF])
  place.write('configuration.nix', '{ }\n')
  const { stdout, stderr } = dated(await place.run(['undo', '--list']))
  expect(stdout.split('\n').map(it => it.split(/ {2,}/).slice(0, 4))).toEqual([
    ['RUN-7', 'DATE', 'option set', 'edited'],
    ['RUN-6', 'DATE', 'undo --redo', 'of RUN-2'],
    ['RUN-5', 'DATE', 'undo', 'of RUN-2'],
    ['RUN-4', 'DATE', 'undo', 'of RUN-3'],
    ['RUN-3', 'DATE', 'remove', 'dropped'],
    ['RUN-2', 'DATE', 'option set', '/etc/nixos/configuration.nix'],
    ['RUN-1', 'DATE', 'apply', '/etc/nixos/vfio/ (12 files) /etc/nixos/configuration.nix'],
    ['']
  ])
  expect(stderr).toBe(text`
    edited: the last run in effect; the file was edited since
    dropped: undone, and replaced by a later run
    `)
})

test.concurrent('undo --list shows ten runs in local time, or all with --all', async () => {
  const place = makePlace({ 'pc.nix': '{ }\n' })
  for (let value = 1; value <= 12; value += 1)
    await place.run(['option', 'set', 'pc.nix', 'a', `${value}`, '-qy', OFF])
  const { stdout, stderr } = await place.run(['undo', '--list', 'pc.nix'])
  expect(stdout.match(/^RUN-\d+/gm)).toEqual(
    [12, 11, 10, 9, 8, 7, 6, 5, 4, 3].map(it => `RUN-${it}`)
  )
  expect(stderr).toBe(text`
    current: the file is as this run left it
    2 older runs: ${SUDO}vfio-patch undo /etc/nixos/pc.nix --list --all
    `)
  const all = await place.run(['undo', '--list', '--all'])
  expect(all.stdout.match(/^RUN-\d+/gm)).toHaveLength(12)
  expect(all.stderr).toBe('current: the file is as this run left it\n')
  expect(JSON.parse((await place.run(['undo', '--list', '--json'])).stdout).runs).toHaveLength(12)

  const started = new Date(
    JSON.parse((await place.run(['undo', '--list', '--json'])).stdout).runs[0].started
  )
  const tokyo = new Date(started.getTime() + 9 * 3_600_000)
    .toISOString()
    .slice(0, 16)
    .replace('T', ' ')
  const inTokyo = await place.run(['undo', '--list'], { env: { TZ: 'Asia/Tokyo' } })
  expect(inTokyo.stdout).toContain(`RUN-12  ${tokyo}  option set  current  /etc/nixos/pc.nix\n`)
})

test.concurrent('undo goes back to the first text, and --redo to the last one unless a new run replaced it', async () => {
  const first = '{ ... }: { }\n'
  const place = makePlace({ 'configuration.nix': first })
  await place.run(['apply', ...ON, '--iommu', 'amd'])
  const second = place.files()
  await place.run(['apply', ...ON, '--device', '10de:1b80'])
  const third = place.files()
  const undo = ['undo', 'configuration.nix', '-y']

  expect((await place.run(undo)).stderr).toContain('\nUndid run RUN-2.\n')
  expect(place.files()).toEqual(second)
  expect((await place.run(undo)).stderr).toContain('\nUndid run RUN-1.\n')
  expect(place.files()).toEqual({ 'configuration.nix': first })
  const sudo = process.getuid?.() === 0 ? 'sudo ' : ''
  expect(await place.run(undo)).toEqual({
    code: 0,
    stdout: '',
    stderr: text`
      Nothing to undo: /etc/nixos/configuration.nix is as it was before the first known run.
      To redo the run that was undone last: ${sudo}vfio-patch undo /etc/nixos/configuration.nix --redo
      `
  })
  expect(place.files()).toEqual({ 'configuration.nix': first })

  const redo = [...undo, '--redo']
  expect((await place.run([...redo.slice(0, 2), '--redo', '-n'])).code).toBe(1)
  expect((await place.run(redo)).stderr).toContain('\nRedid run RUN-1.\n')
  expect(place.files()).toEqual(second)
  expect((await place.run(redo)).code).toBe(0)
  expect(place.files()).toEqual(third)
  const nothing = {
    code: 0,
    stdout: '',
    stderr:
      'Nothing to redo for /etc/nixos/configuration.nix: no run is undone, or a later run replaced the undone runs.\n'
  }
  expect(await place.run(redo)).toEqual(nothing)
  await place.run(undo)
  await place.run(['option', 'set', 'configuration.nix', 'a', '1', '-qy', OFF])
  const fourth = place.files()
  expect(await place.run(redo)).toEqual(nothing)
  expect(place.files()).toEqual(fourth)
  expect(JSON.parse((await place.run([...redo, '--json'])).stdout)).toMatchObject({
    outcome: 'unchanged',
    exit: 0,
    files: [],
    notes: [nothing.stderr.trim()]
  })
})

test.concurrent('undo refuses --redo after an edit, and --run if a later run changed the file', async () => {
  const place = makePlace({ 'a.nix': '{ }\n', 'b.nix': '{ imports = [ ./a.nix ]; }\n' })
  await place.run(['option', 'set', 'a.nix', 'x', '1', '-qy', OFF])
  await place.run(['undo', 'a.nix', '-qy'])
  place.write('a.nix', '{ } # mine\n')
  await expectRefusal(place, ['undo', '--redo', 'a.nix', '-y'], {
    code: 5,
    stderr: text`
      vfio-patch: /etc/nixos/a.nix was edited after the last undo, so redo would lose those edits. Nothing was written.
        Do:  revert your edit, or run the undone command again
      `
  })
  await place.run(['option', 'set', 'a.nix', 'x', '2', '-qy', OFF])
  await place.run(['option', 'set', 'a.nix', 'x', '3', '-qy', OFF])
  const script = 'exec "$@" "$(ls "$VFIO_PATCH_STATE/runs" | sort -t- -k3n | sed -n 3p)"'
  await expectRefusal(
    place,
    ['undo', '-y', '--run'],
    {
      code: 5,
      stderr: text`
        vfio-patch: run RUN-4 (option set) has changed /etc/nixos/a.nix since. Nothing was written.
          Do:  undo that run first: ${SUDO}vfio-patch undo --run RUN-4
        `
    },
    { script }
  )
})

test.concurrent.each([
  [['undo', '--redo', '--run', '20261122-160312-1'], '--redo and --run cannot be used together.'],
  [['undo', '--all'], '--all needs --list.'],
  [['apply', '--redo'], '"apply" does not take --redo.']
])('vfio-patch refuses %j', async (words, what) => {
  const { code, stderr } = await makePlace({}).run(words)
  expect([code, stderr.split('\n')[0]]).toEqual([2, `vfio-patch: ${what}`])
})

test.concurrent('undo refuses if the record of a run is damaged, and prints the path of the record', async () => {
  const place = makePlace({ 'pc.nix': '{ }\n' })
  await place.run(['option', 'set', 'pc.nix', 'a', '1', '-qy', OFF])
  const runs = join(place.top, 'state/runs')
  const [id = ''] = readdirSync(runs)
  writeFileSync(join(runs, id, 'manifest.json'), '{')
  const refusal = {
    code: 4,
    stderr: text`
      vfio-patch: the record of run RUN-1 is damaged or from another version: /state/runs/RUN-1/manifest.json. Nothing was written.
        Why: this may be the last run that changed the file, and only its record lists the files it changed.
        Do:  undo another run by its ID: ${SUDO}vfio-patch undo --list
             or discard that run: rm -r /state/runs/RUN-1
      `
  }
  for (const words of [['pc.nix'], ['pc.nix', '--redo'], ['--run', id]])
    await expectRefusal(place, ['undo', '-y', ...words], refusal)
  expect(await place.run(['undo', '--list'])).toEqual({
    code: 0,
    stdout: '',
    stderr: 'No runs yet.\nThe record of run RUN-1 is damaged: /state/runs/RUN-1/manifest.json\n'
  })
})

needing(
  'root',
  'nobody',
  'unshare'
)('undo names runs of another account, and how to undo them', async () => {
  const place = makePlace({ 'pc.nix': '{ }\n' })
  const etc = join(place.top, 'etc')
  const home = join(place.top, 'home')
  writeFileSync(
    join(place.top, 'passwd'),
    `root:x:0:0::/root:/bin/sh\nalice:x:65534:65534::${home}:/bin/sh\n`
  )
  for (const path of [etc, place.nixos, join(place.nixos, 'pc.nix'), home])
    chownSync(path, 65534, 65534)
  const user = { env: { HOME: home, VFIO_PATCH_STATE: '' }, through: AS_NOBODY }
  const set = ['option', 'set', 'pc.nix', 'a', '1', '-qy', OFF]
  expect(await place.run(set, user)).toEqual({ code: 0, stdout: '', stderr: '' })
  const written = place.read('pc.nix')

  // Root gets its own state folder, and a passwd that has the account that called sudo.
  const mounts =
    'mount -t tmpfs none /var/lib && mount --bind "$TOP/passwd" /etc/passwd && exec "$@"'
  const asRoot = {
    through: ['unshare', '-m'],
    script: mounts,
    env: { TOP: place.top, SUDO_UID: '65534', VFIO_PATCH_STATE: '' }
  }
  expect(await place.run(['undo', '-y', 'pc.nix'], asRoot)).toEqual({
    code: 0,
    stdout: '',
    stderr: text`
      Nothing to undo: no known run changed /etc/nixos/pc.nix.
      alice has 1 run, the newest of which is RUN-1. To undo these runs, run this without sudo, as alice: vfio-patch undo -y pc.nix
      `
  })
  expect((await place.run(['undo', '--list'], asRoot)).stderr).toContain(
    'alice has 1 run, the newest of which is RUN-1.'
  )
  expect(place.read('pc.nix')).toBe(written)

  const script = `mount -t tmpfs none /var/lib && mkdir -m 700 /var/lib/vfio-patch && exec ${AS_NOBODY.join(' ')} "$@"`
  const { env } = user
  // To alice, a change by a run of root looks like an edit.
  place.write('pc.nix', '{ a = 2; }\n')
  const edited = await place.run(['undo', '-qy', 'pc.nix'], {
    through: ['unshare', '-m'],
    script,
    env
  })
  expect(edited).toEqual({
    code: 5,
    stdout: '',
    stderr: text`
      vfio-patch: /etc/nixos/pc.nix was edited after the last option set, so undo would lose those edits. Nothing was written.
        Do:  revert the change in an editor
             Runs of root are in /var/lib/vfio-patch. To undo these runs, run this with sudo: sudo vfio-patch undo -qy pc.nix
      `
  })
  place.write('pc.nix', written)
  expect((await place.run(['undo', '-qy', 'pc.nix'], user)).code).toBe(0)
  expect(place.read('pc.nix')).toBe('{ }\n')
  expect(
    await place.run(['undo', '-y', 'pc.nix'], { through: ['unshare', '-m'], script, env })
  ).toMatchObject({
    code: 0,
    stderr: text`
      Nothing to undo: /etc/nixos/pc.nix is as it was before the first known run.
      To redo the run that was undone last: vfio-patch undo /etc/nixos/pc.nix --redo
      Runs of root are in /var/lib/vfio-patch. To undo these runs, run this with sudo: sudo vfio-patch undo -y pc.nix
      `
  })
  // The runs that alice has undone are not mentioned.
  expect((await place.run(['undo', '-y', 'pc.nix'], asRoot)).stderr).toBe(
    'Nothing to undo: no known run changed /etc/nixos/pc.nix.\n'
  )
})

test.concurrent('undo refuses if the configuration was deleted since', async () => {
  const place = makePlace({ 'pc.nix': '{ }\n' })
  const set = ['option', 'set', 'pc.nix', 'a', '1', '-qy', OFF]
  expect(await place.run(set)).toEqual({ code: 0, stdout: '', stderr: '' })
  const written = place.read('pc.nix')
  rmSync(join(place.nixos, 'pc.nix'))
  await expectRefusal(place, ['undo', 'pc.nix', '-qy'], {
    code: 5,
    stderr: text`
      vfio-patch: /etc/nixos/pc.nix was removed after the last option set. Nothing was written.
        Do:  restore the file, then run this again
      `
  })
  place.write('pc.nix', written)
  expect((await place.run(['undo', 'pc.nix', '-qy'])).code).toBe(0)
  expect(place.read('pc.nix')).toBe('{ }\n')
})

test.concurrent('undo notes another configuration that imports the modules it deletes', async () => {
  const other = '{\n  imports = [ ./vfio ];\n  virtualisation.vfio.enable = true;\n}\n'
  const place = makePlace({
    'a.nix': '{ ... }: { }\n',
    'c.nix': '{ imports = [ ./vfio-old ../vfio ./vfio/vfio.nix ]; }\n'
  })
  await place.run(['apply', 'a.nix', '--iommu', 'amd', '-qy', OFF])
  place.write('b.nix', other)
  const note =
    '/etc/nixos/b.nix imports /etc/nixos/vfio, which is deleted, so that file no longer evaluates.'
  const { code, stderr } = await place.run(['undo', 'a.nix', '-n'])
  expect({ code, stderr }).toEqual({
    code: 1,
    stderr: text`
      Run RUN-1 (apply) will be undone:
        /etc/nixos/a.nix as it was
        /etc/nixos/vfio/: 12 files are deleted
      Note: ${note}
      `
  })
  const { stdout } = await place.run(['undo', 'a.nix', '-n', '--json'])
  expect(JSON.parse(stdout).notes).toEqual([note])
  place.write('b.nix', '{ }\n')
  expect((await place.run(['undo', 'a.nix', '-n'])).stderr).not.toContain('Note:')
})
