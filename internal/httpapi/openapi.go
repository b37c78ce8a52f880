package httpapi

import (
	_ "embed" // for the document
	"net/http"
	"sync"

	"github.com/goccy/go-yaml"

	"spoked/internal/api"
)

//go:embed openapi.yaml
var document []byte

// spec is the OpenAPI document as JSON, once it has been asked for.
type spec struct {
	once sync.Once
	json []byte
	err  error
}

func (c *call) openapiYAML() error {
	if err := c.noParams(); err != nil {
		return err
	}
	_ = c.h.send(c.w, http.StatusOK, "application/yaml", document)
	return nil
}

func (c *call) openapiJSON() error {
	if err := c.noParams(); err != nil {
		return err
	}
	s := &c.h.spec
	s.once.Do(func() { s.json, s.err = yaml.YAMLToJSON(document) })
	if s.err != nil {
		return s.err
	}
	_ = c.h.send(c.w, http.StatusOK, api.JSON, s.json)
	return nil
}
