// Packages with programs for one system and processor are optional: npm leaves those
// of others out, but Yarn still looks each of them up, and a mirror of the registry
// need not have them. Those that are not for Linux with glibc on amd64 or arm64 are an
// empty folder here.
const systems = ['darwin', 'win32', 'windows', 'freebsd', 'openbsd', 'netbsd', 'sunos', 'aix', 'android', 'openharmony', 'linuxmusl', 'linux'];
const processors = [
  'x64', 'x86_64', 'arm64', 'arm', 'armv7', 'aarch64', 'ia32', 'i686',
  'riscv64', 's390x', 'ppc64', 'ppc64le', 'loong64', 'mips64el', 'mips64', 'universal',
];
const prebuilt = new RegExp(`[-/](?:(?:${systems.join('|')})-(?:${processors.join('|')})(?:-|$)|wasm32-wasi$|wasm32$)`);
const wanted = /[-/]linux-(?:x64|arm64)(?:-gnu|-glibc)?$/;

module.exports = {
  name: 'linux-only',
  factory(require) {
    const { structUtils } = require('@yarnpkg/core');
    const reduceDependency = async (dependency, project, _locator, _initial, { resolver, resolveOptions }) => {
      const name = structUtils.stringifyIdent(dependency);
      if (wanted.test(name) || !prebuilt.test(name)) return dependency;
      const nothing = structUtils.makeDescriptor(dependency, 'link:./.yarn/foreign');
      return resolver.bindDescriptor(
        project.configuration.normalizeDependency(nothing),
        project.topLevelWorkspace.anchoredLocator,
        resolveOptions,
      );
    };
    return { hooks: { reduceDependency } };
  },
};
