// The parser as a Node addon: tree-sitter's core and the Nix grammar in five functions.
//
//   parse(text, timeoutMs)                  -> { tree, nodes } | null
//   reparse(tree, edits, text, timeoutMs)   -> { tree, nodes } | null
//   expand(tree, start, end)                -> nodes
//   print(tree)                             -> the tree as tree-sitter writes it in its tests
//   release(tree)                           frees the tree, which nothing else may be asked of then
//   symbols, fields                         names by number
//
// `nodes` is a piece of the tree in an Int32Array, in preorder, so that JavaScript walks it without
// crossing into native code. A node takes RECORD numbers:
//
//   0  symbol | flags << 16          (NAMED, MISSING, EXTRA, HAS_ERROR, FOLDED)
//   1  start, 2  end                 (UTF-16 units)
//   3  records from this one down, itself included
//   4  parent                        (number of its record, -1 for the first)
//   5  field                         (0 for none)
//   6  nodes from this one down in the whole tree, itself included
//
// The value of a binding is FOLDED where it is no small one: it has no children there, and `expand`
// gives the piece that begins with the value between two offsets. Most edits look into few values, and
// flattening them all costs a third of the parsing.
//
// `reparse` leaves the tree as it is. `edits` holds EDIT numbers for each edit, in the order of the
// text: start, old end, new end (UTF-16 units), and row and column of each of the three. null means
// that the time was up.

#include <node_api.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <tree_sitter/api.h>

const TSLanguage *tree_sitter_nix(void);

enum { RECORD = 7, EDIT = 9 };
enum { NAMED = 1, MISSING = 2, EXTRA = 4, HAS_ERROR = 8, FOLDED = 16 };

// Values with up to as many nodes are not folded: strings, numbers, short lists.
enum { SMALL = 8 };

// Symbols are numbered from 0 but for ERROR, which gets the number behind the last.
static const TSSymbol ERROR_SYMBOL = (TSSymbol)-1;

#define CHECK(call)                                                            \
  if ((call) != napi_ok) {                                                     \
    napi_throw_error(env, NULL, "Nix parser: " #call " failed");               \
    return NULL;                                                               \
  }

typedef struct {
  int32_t *items;
  size_t length, capacity;
} Numbers;

static bool push(Numbers *numbers, const int32_t *items, size_t count) {
  if (numbers->length + count > numbers->capacity) {
    size_t capacity = numbers->capacity ? numbers->capacity * 2 : 4096;
    int32_t *grown = realloc(numbers->items, capacity * sizeof(int32_t));
    if (!grown) return false;
    numbers->items = grown;
    numbers->capacity = capacity;
  }
  memcpy(numbers->items + numbers->length, items, count * sizeof(int32_t));
  numbers->length += count;
  return true;
}

// Walks with a cursor, as deep trees would overflow the stack otherwise.
static bool flatten(TSNode from, Numbers *nodes) {
  const TSLanguage *nix = tree_sitter_nix();
  const int32_t symbols = (int32_t)ts_language_symbol_count(nix);
  const TSFieldId value = ts_language_field_id_for_name(nix, "expression", 10);
  const TSSymbol binding = ts_language_symbol_for_name(nix, "binding", 7, true);
  TSTreeCursor cursor = ts_tree_cursor_new(from);
  int32_t parent = -1;
  bool in_binding = false, done = false, fits = true;
  while (!done && fits) {
    TSNode node = ts_tree_cursor_current_node(&cursor);
    TSSymbol symbol = ts_node_symbol(node);
    TSFieldId field = ts_tree_cursor_current_field_id(&cursor);
    uint32_t size = ts_node_descendant_count(node);
    bool folded = in_binding && field == value && size > SMALL;
    int32_t flags = (ts_node_is_named(node) ? NAMED : 0) | (ts_node_is_missing(node) ? MISSING : 0) |
                    (ts_node_is_extra(node) ? EXTRA : 0) | (ts_node_has_error(node) ? HAS_ERROR : 0) |
                    (folded ? FOLDED : 0);
    int32_t number = (int32_t)(nodes->length / RECORD);
    int32_t record[RECORD] = {
      (symbol == ERROR_SYMBOL ? symbols : symbol) | flags << 16,
      (int32_t)(ts_node_start_byte(node) / 2),
      (int32_t)(ts_node_end_byte(node) / 2),
      1,
      parent,
      field,
      (int32_t)size,
    };
    fits = push(nodes, record, RECORD);
    if (!fits) break;
    if (!folded && ts_tree_cursor_goto_first_child(&cursor)) {
      parent = number;
      in_binding = symbol == binding;
      continue;
    }
    while (!ts_tree_cursor_goto_next_sibling(&cursor)) {
      if (!ts_tree_cursor_goto_parent(&cursor)) {
        done = true;
        break;
      }
      int32_t *closed = nodes->items + (size_t)parent * RECORD;
      closed[3] = (int32_t)(nodes->length / RECORD) - parent;
      parent = closed[4];
      int32_t above = parent < 0 ? 0 : nodes->items[(size_t)parent * RECORD] & 0xffff;
      in_binding = parent >= 0 && above == binding;
    }
  }
  ts_tree_cursor_delete(&cursor);
  return fits;
}

// The value of a binding between two offsets in bytes; a null node if there is none.
static TSNode value_at(const TSTree *tree, uint32_t start, uint32_t end) {
  const TSLanguage *nix = tree_sitter_nix();
  const TSFieldId value = ts_language_field_id_for_name(nix, "expression", 10);
  const TSSymbol binding = ts_language_symbol_for_name(nix, "binding", 7, true);
  TSTreeCursor cursor = ts_tree_cursor_new(ts_tree_root_node(tree));
  TSNode found = {0};
  bool in_binding = false;
  do {
    TSNode node = ts_tree_cursor_current_node(&cursor);
    if (in_binding && ts_tree_cursor_current_field_id(&cursor) == value &&
        ts_node_start_byte(node) == start && ts_node_end_byte(node) == end) {
      found = node;
      break;
    }
    in_binding = ts_node_symbol(node) == binding;
  } while (ts_tree_cursor_goto_first_child_for_byte(&cursor, start) >= 0);
  ts_tree_cursor_delete(&cursor);
  return found;
}

// What JavaScript holds of a tree. Node runs finalizers only after a turn of the event loop, so
// `release` frees the tree before. `size` is about what the tree takes, so that the collector knows of it.
typedef struct {
  TSTree *tree;
  int64_t size;
} Box;

static void empty_box(napi_env env, Box *box) {
  int64_t now;
  if (!box->tree) return;
  ts_tree_delete(box->tree);
  box->tree = NULL;
  napi_adjust_external_memory(env, -box->size, &now);
}

static void delete_box(napi_env env, void *box, void *hint) {
  (void)hint;
  empty_box(env, box);
  free(box);
}

static TSTree *tree_of(napi_env env, napi_value value) {
  void *box;
  CHECK(napi_get_value_external(env, value, &box));
  if (!((Box *)box)->tree) napi_throw_error(env, NULL, "Nix parser: the tree is released");
  return ((Box *)box)->tree;
}

static napi_value numbers_of(napi_env env, const Numbers *numbers) {
  void *data;
  napi_value buffer, array;
  size_t bytes = numbers->length * sizeof(int32_t);
  CHECK(napi_create_arraybuffer(env, bytes, &data, &buffer));
  if (bytes > 0) memcpy(data, numbers->items, bytes);
  CHECK(napi_create_typedarray(env, napi_int32_array, numbers->length, buffer, 0, &array));
  return array;
}

static napi_value nodes_from(napi_env env, TSNode node) {
  Numbers nodes = {0};
  napi_value result = NULL;
  if (flatten(node, &nodes)) result = numbers_of(env, &nodes);
  else napi_throw_error(env, NULL, "Nix parser: out of memory");
  free(nodes.items);
  return result;
}

static napi_value run(napi_env env, const TSTree *old, napi_value text, napi_value timeout) {
  size_t length;
  uint32_t milliseconds;
  CHECK(napi_get_value_string_utf16(env, text, NULL, 0, &length));
  CHECK(napi_get_value_uint32(env, timeout, &milliseconds));
  char16_t *units = malloc((length + 1) * sizeof(char16_t));
  if (!units) {
    napi_throw_error(env, NULL, "Nix parser: out of memory");
    return NULL;
  }
  if (napi_get_value_string_utf16(env, text, units, length + 1, &length) != napi_ok) {
    free(units);
    napi_throw_error(env, NULL, "Nix parser: the text is not a string");
    return NULL;
  }
  TSParser *parser = ts_parser_new();
  ts_parser_set_language(parser, tree_sitter_nix());
  ts_parser_set_timeout_micros(parser, (uint64_t)milliseconds * 1000);
  TSTree *tree = ts_parser_parse_string_encoding(parser, old, (const char *)units,
                                                 (uint32_t)(length * sizeof(char16_t)),
                                                 TSInputEncodingUTF16LE);
  ts_parser_delete(parser);
  free(units);
  if (!tree) {
    napi_value null;
    CHECK(napi_get_null(env, &null));
    return null;
  }
  Box *box = malloc(sizeof(Box));
  napi_value handle, nodes, result;
  int64_t now, size = (int64_t)ts_node_descendant_count(ts_tree_root_node(tree)) * 24;
  if (box) *box = (Box){tree, size};
  if (!box || napi_create_external(env, box, delete_box, NULL, &handle) != napi_ok) {
    ts_tree_delete(tree);
    free(box);
    napi_throw_error(env, NULL, "Nix parser: no handle");
    return NULL;
  }
  CHECK(napi_adjust_external_memory(env, size, &now));
  if (!(nodes = nodes_from(env, ts_tree_root_node(tree)))) return NULL;
  CHECK(napi_create_object(env, &result));
  CHECK(napi_set_named_property(env, result, "tree", handle));
  CHECK(napi_set_named_property(env, result, "nodes", nodes));
  return result;
}

static napi_value parse(napi_env env, napi_callback_info info) {
  size_t count = 2;
  napi_value args[2];
  CHECK(napi_get_cb_info(env, info, &count, args, NULL, NULL));
  return run(env, NULL, args[0], args[1]);
}

static TSPoint point_at(const int32_t *numbers) {
  return (TSPoint){(uint32_t)numbers[0], (uint32_t)numbers[1] * 2};
}

static napi_value reparse(napi_env env, napi_callback_info info) {
  size_t count = 4;
  napi_value args[4];
  void *data;
  size_t length;
  CHECK(napi_get_cb_info(env, info, &count, args, NULL, NULL));
  TSTree *tree = tree_of(env, args[0]);
  if (!tree) return NULL;
  CHECK(napi_get_typedarray_info(env, args[1], NULL, &length, &data, NULL, NULL));
  TSTree *old = ts_tree_copy(tree);
  // From the last to the first, so that each edit still finds its own offsets.
  for (const int32_t *edit = (int32_t *)data + length; edit > (int32_t *)data;) {
    edit -= EDIT;
    TSInputEdit input = {
      .start_byte = (uint32_t)edit[0] * 2,
      .old_end_byte = (uint32_t)edit[1] * 2,
      .new_end_byte = (uint32_t)edit[2] * 2,
      .start_point = point_at(edit + 3),
      .old_end_point = point_at(edit + 5),
      .new_end_point = point_at(edit + 7),
    };
    ts_tree_edit(old, &input);
  }
  napi_value result = run(env, old, args[2], args[3]);
  ts_tree_delete(old);
  return result;
}

static napi_value expand(napi_env env, napi_callback_info info) {
  size_t count = 3;
  napi_value args[3];
  uint32_t start, end;
  CHECK(napi_get_cb_info(env, info, &count, args, NULL, NULL));
  CHECK(napi_get_value_uint32(env, args[1], &start));
  CHECK(napi_get_value_uint32(env, args[2], &end));
  TSTree *tree = tree_of(env, args[0]);
  if (!tree) return NULL;
  TSNode node = value_at(tree, start * 2, end * 2);
  if (ts_node_is_null(node)) {
    napi_throw_range_error(env, NULL, "Nix parser: no such value");
    return NULL;
  }
  return nodes_from(env, node);
}

static napi_value print(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value args[1], result;
  CHECK(napi_get_cb_info(env, info, &count, args, NULL, NULL));
  TSTree *tree = tree_of(env, args[0]);
  if (!tree) return NULL;
  char *text = ts_node_string(ts_tree_root_node(tree));
  napi_status status = napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &result);
  free(text);
  CHECK(status);
  return result;
}

static napi_value release(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value args[1];
  CHECK(napi_get_cb_info(env, info, &count, args, NULL, NULL));
  void *data;
  CHECK(napi_get_value_external(env, args[0], &data));
  empty_box(env, data);
  return NULL;
}

static napi_value names(napi_env env, uint32_t count, const char *(*name)(uint32_t)) {
  napi_value list;
  CHECK(napi_create_array_with_length(env, count, &list));
  for (uint32_t i = 0; i < count; i++) {
    napi_value text;
    const char *found = name(i);
    CHECK(napi_create_string_utf8(env, found ? found : "", NAPI_AUTO_LENGTH, &text));
    CHECK(napi_set_element(env, list, i, text));
  }
  return list;
}

static const char *symbol_name(uint32_t i) {
  const TSLanguage *nix = tree_sitter_nix();
  bool is_error = i == ts_language_symbol_count(nix);
  return ts_language_symbol_name(nix, is_error ? ERROR_SYMBOL : (TSSymbol)i);
}

static const char *field_name(uint32_t i) {
  return ts_language_field_name_for_id(tree_sitter_nix(), (TSFieldId)i);
}

NAPI_MODULE_INIT() {
  const TSLanguage *nix = tree_sitter_nix();
  napi_value function;
  CHECK(napi_create_function(env, "parse", NAPI_AUTO_LENGTH, parse, NULL, &function));
  CHECK(napi_set_named_property(env, exports, "parse", function));
  CHECK(napi_create_function(env, "reparse", NAPI_AUTO_LENGTH, reparse, NULL, &function));
  CHECK(napi_set_named_property(env, exports, "reparse", function));
  CHECK(napi_create_function(env, "expand", NAPI_AUTO_LENGTH, expand, NULL, &function));
  CHECK(napi_set_named_property(env, exports, "expand", function));
  CHECK(napi_create_function(env, "print", NAPI_AUTO_LENGTH, print, NULL, &function));
  CHECK(napi_set_named_property(env, exports, "print", function));
  CHECK(napi_create_function(env, "release", NAPI_AUTO_LENGTH, release, NULL, &function));
  CHECK(napi_set_named_property(env, exports, "release", function));
  napi_value symbols = names(env, ts_language_symbol_count(nix) + 1, symbol_name);
  napi_value fields = names(env, ts_language_field_count(nix) + 1, field_name);
  if (!symbols || !fields) return NULL;
  CHECK(napi_set_named_property(env, exports, "symbols", symbols));
  CHECK(napi_set_named_property(env, exports, "fields", fields));
  return exports;
}
