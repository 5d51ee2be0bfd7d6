// What undo shows before it asks, and the list of runs.

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { needing } from './support/needing.ts'
import { makeExample, makePlace } from './support/place.ts'
import { text } from './support/text.ts'

const OFF = '--parse-check=off'

needing('git')(
  'its patch is taken in the folder of the configuration, as that of apply',
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
      Run RUN-1 (apply) will be taken back:
        /etc/nixos/configuration.nix as it was
        /etc/nixos/vfio/: 12 files go
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

test.concurrent('where a run went beyond that folder, the one around all of it is meant', async () => {
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
      Run RUN-1 (check) will be taken back:
        /etc/nixos/vm.nix as it was
        /etc/nixos/hosts/pc/configuration.nix as it was
      `
  })
})

test.concurrent('the list has a line for each run, with many files of one folder as that folder', async () => {
  const place = makePlace({ 'configuration.nix': '{ ... }: { }\n' })
  await place.run(['apply', 'configuration.nix', '--iommu', 'amd', '-qy', OFF])
  await place.run(['option', 'set', 'configuration.nix', 'a', '1', '-qy', OFF])
  await place.run(['remove', 'configuration.nix', '-qy', OFF])
  expect(await place.run(['undo', '--list'])).toEqual({
    code: 0,
    stdout: text`
      RUN-3  remove      /etc/nixos/configuration.nix /etc/nixos/vfio/ (12 files)
      RUN-2  option set  /etc/nixos/configuration.nix
      RUN-1  apply       /etc/nixos/vfio/ (12 files) /etc/nixos/configuration.nix
      `,
    stderr: ''
  })
})
