import type { SyntaxNode } from './syntax/tree.ts'

/**
 * The types of the nodes in the grammar of tree-sitter-nix, each with the fields that such a node always has
 * in a document without faults.
 */
interface FieldsOf {
  apply_expression: 'argument' | 'function'
  assert_expression: 'body' | 'condition'
  attrpath: never
  attrset_expression: never
  binary_expression: 'left' | 'operator' | 'right'
  binding: 'attrpath' | 'expression'
  binding_set: never
  comment: never
  dollar_escape: never
  ellipses: never
  escape_sequence: never
  float_expression: never
  formal: 'name'
  formals: never
  function_expression: 'body'
  has_attr_expression: 'attrpath' | 'expression' | 'operator'
  hpath_expression: never
  identifier: never
  if_expression: 'alternative' | 'condition' | 'consequence'
  indented_string_expression: never
  inherit: 'attrs'
  inherit_from: 'attrs' | 'expression'
  inherited_attrs: never
  integer_expression: never
  interpolation: 'expression'
  let_attrset_expression: never
  let_expression: 'body'
  list_expression: never
  parenthesized_expression: 'expression'
  path_expression: never
  path_fragment: never
  rec_attrset_expression: never
  select_expression: 'attrpath' | 'expression'
  source_code: never
  spath_expression: never
  string_expression: never
  string_fragment: never
  unary_expression: 'argument' | 'operator'
  uri_expression: never
  variable_expression: 'name'
  with_expression: 'body' | 'environment'
}

/** A type of a node in the grammar; tokens such as `{` are not included. */
export type NodeType = keyof FieldsOf

/** A node of one type, or of one of several: `field` of a field that it always has is never undefined. */
export type NodeOf<Type extends NodeType> = Type extends NodeType
  ? { readonly type: Type; field(name: FieldsOf[Type]): SyntaxNode } & SyntaxNode
  : never

/** Whether a node has one of these types. False for undefined, so that a `field` can be passed. */
export function isNode<Type extends NodeType>(
  node: SyntaxNode | undefined,
  ...types: readonly Type[]
): node is NodeOf<Type> {
  // The type of a token is its text, so the keyword `inherit` has the type of an `inherit x;` too.
  return node?.isNamed === true && (types as readonly string[]).includes(node.type)
}
