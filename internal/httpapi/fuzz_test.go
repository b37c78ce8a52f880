package httpapi

import (
	"bytes"
	"encoding/json"
	"testing"

	"spoked/internal/api"
)

// FuzzPut reads anything as a job to be put. What is accepted must come back as the
// bytes that it stands for, however it is answered with.
func FuzzPut(f *testing.F) {
	for _, s := range []string{
		`{"body":"x"}`, `{"body":{"a":[1,2.50,"<&>\u2028"]},"pri":1,"delay":"5s","ttr":"1h"}`, `{"json":"x"}`, `{"base64":"/w=="}`,
		`{"body":"\ud83d\ude00"}`, `{"body":"\ud800"}`, `{"body":null}`, `{"body":1,"body":2}`, `{"Body":1}`, `[]`, `{"tube":"a/b","body":"\u0000"}`,
	} {
		f.Add([]byte(s))
	}
	h := New(Options{MaxJobSize: 1 << 16})
	c := &call{h: h}
	f.Fuzz(func(t *testing.T, in []byte) {
		j, _, err := c.jobFrom(in, "t", true)
		if err != nil {
			if p := explain(err, ""); p == nil || p.Status/100 != 4 {
				t.Fatalf("got the error %v", err)
			}
			return
		}
		for _, as := range []shape{{bytes: maxBytes}, {as: "text", bytes: maxBytes}} {
			content, truncated := as.content(j.Body, uint32(len(j.Body)))
			var back api.Content
			if err := json.Unmarshal(encode(content), &back); err != nil || truncated {
				t.Fatal(err, truncated)
			}
			got, want := back.Bytes(), j.Body
			if as.as == "" && back.Base64 == nil && back.Body[0] != '"' { // its compact form
				var b bytes.Buffer
				if err := json.Compact(&b, j.Body); err != nil {
					t.Fatal(err)
				}
				want = b.Bytes()
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%s: got %q, want %q", in, got, want)
			}
		}
	})
}
