package api

import (
	"encoding/json"
	"fmt"
	"time"
)

// Duration is a duration that is a string in JSON, as time.ParseDuration reads
// it: "5s", "1h30m", "250ms".
type Duration time.Duration

// String returns the duration as time.Duration writes it.
func (d Duration) String() string { return time.Duration(d).String() }

// MarshalJSON returns the duration as a JSON string.
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(d.String()) }

// UnmarshalJSON reads a JSON string.
func (d *Duration) UnmarshalJSON(b []byte) error {
	var s string
	if err := json.Unmarshal(b, &s); err != nil {
		return fmt.Errorf("%s is no duration: it must be a string such as \"5s\" or \"1h30m\"", b)
	}
	v, err := ParseDuration(s)
	if err == nil {
		*d = v
	}
	return err
}

// ParseDuration reads a duration that is not negative.
func ParseDuration(s string) (Duration, error) {
	v, err := time.ParseDuration(s)
	if err != nil {
		return 0, fmt.Errorf("%q is no duration: it must be such as \"5s\" or \"1h30m\"", s)
	}
	if v < 0 {
		return 0, fmt.Errorf("the duration %s is negative", s)
	}
	return Duration(v), nil
}
