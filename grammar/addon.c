// Hands the Nix grammar to node-tree-sitter.
//
// node-tree-sitter accepts a language as an object whose property `language`
// is an external value that carries its Node-API type tag.

#include <node_api.h>

typedef struct TSLanguage TSLanguage;
const TSLanguage *tree_sitter_nix(void);

static const napi_type_tag LANGUAGE_TAG = {0x8AF2E5212AD58ABF, 0xD5006CAD83ABBA16};

#define CHECK(call)                                                            \
  if ((call) != napi_ok) {                                                     \
    napi_throw_error(env, NULL, "cannot export the Nix grammar: " #call);      \
    return NULL;                                                               \
  }

NAPI_MODULE_INIT() {
  napi_value language, name;
  CHECK(napi_create_external(env, (void *)tree_sitter_nix(), NULL, NULL, &language));
  CHECK(napi_type_tag_object(env, language, &LANGUAGE_TAG));
  CHECK(napi_set_named_property(env, exports, "language", language));
  CHECK(napi_create_string_utf8(env, "nix", NAPI_AUTO_LENGTH, &name));
  CHECK(napi_set_named_property(env, exports, "name", name));
  return exports;
}
