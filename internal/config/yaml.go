package config

import (
	"errors"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	yamlparser "github.com/goccy/go-yaml/parser"
)

// decodeYAML returns the settings in a YAML document. An error is about the line at,
// if that is not 0.
func decodeYAML(text []byte) (settings []setting, at int, err error) {
	f, err := yamlparser.ParseBytes(text, 0)
	if err != nil {
		wrong, ok := errors.AsType[*yaml.SyntaxError](err)
		if !ok {
			return nil, 0, err
		}
		if t := wrong.GetToken(); t != nil {
			at = t.Position.Line
		}
		return nil, at, errors.New(wrong.GetMessage())
	}
	for i, doc := range f.Docs {
		if i > 0 && doc.Body != nil {
			return nil, lineOf(doc.Body), errors.New("want one document, not several")
		}
		switch body := doc.Body.(type) {
		case nil, *ast.NullNode, *ast.CommentGroupNode:
		case *ast.MappingNode:
			for _, v := range body.Values {
				settings = append(settings, yamlSetting(v))
			}
		case *ast.MappingValueNode:
			settings = append(settings, yamlSetting(body))
		default:
			return nil, lineOf(body), errors.New("want a mapping of keys to values")
		}
	}
	return settings, 0, nil
}

func lineOf(n ast.Node) int { return n.GetToken().Position.Line }

// yamlSetting returns the setting that a key with its value is.
func yamlSetting(v *ast.MappingValueNode) setting {
	s := setting{line: lineOf(v.Key), key: v.Key.String()}
	if key, ok := v.Key.(*ast.StringNode); ok {
		s.key = key.Value
	}
	switch n := v.Value.(type) {
	case *ast.StringNode:
		s.value = n.Value
	case *ast.LiteralNode:
		s.value = n.Value.Value
	case *ast.BoolNode:
		s.value, s.truth = n.GetToken().Value, true
	case *ast.IntegerNode:
		s.value = decimal(n.GetToken().Value)
	case *ast.FloatNode:
		s.value = n.GetToken().Value
	case nil, *ast.NullNode:
		s.wrong = "it has no value"
	case *ast.MappingNode, *ast.MappingValueNode:
		s.wrong = noTables
	case *ast.SequenceNode:
		s.wrong = noLists
	default:
		s.wrong = "want a plain value, without anchors, aliases or tags"
	}
	return s
}
