package cli

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/spf13/cobra"
)

const defaultPort = "11300"

// errAddress says what an address of a server is.
var errAddress = errors.New("it must be HOST:PORT or unix:PATH, or http://HOST:PORT for the HTTP API")

// serverAddr returns the address of a server in the one way it is used: with a port,
// or as a URL without a path.
func serverAddr(text string) (string, error) {
	if path, ok := strings.CutPrefix(text, "unix:"); ok {
		if path == "" {
			return "", fmt.Errorf("%s: the path is missing; %w", text, errAddress)
		}
		return text, nil
	}
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		return apiURL(strings.ToLower(scheme), text)
	}
	if text == "" || strings.ContainsAny(text, "/?# ") {
		return "", fmt.Errorf("%q: %w", text, errAddress)
	}
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		bare := strings.TrimSuffix(strings.TrimPrefix(text, "["), "]")
		if strings.Contains(bare, ":") && net.ParseIP(bare) == nil {
			return "", fmt.Errorf("%s: %w", text, errAddress)
		}
		return net.JoinHostPort(bare, defaultPort), nil
	}
	if port == "" {
		port = defaultPort
	}
	return net.JoinHostPort(host, port), nil
}

// apiURL checks the URL of an API.
func apiURL(scheme, text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || scheme != "http" && scheme != "https" || u.Hostname() == "":
		return "", fmt.Errorf("%s: %w", text, errAddress)
	case u.Path != "" && u.Path != "/", u.RawQuery != "", u.ForceQuery, u.Fragment != "", u.User != nil:
		return "", fmt.Errorf("%s: there must be nothing but a host and a port in it: %s://%s", text, scheme, u.Host)
	}
	return scheme + "://" + u.Host, nil
}

// checkServer has the flag --server of c, if it has one, be an address.
func checkServer(c *cobra.Command, _ []string) error {
	f := c.Flags().Lookup("server")
	if f == nil {
		return nil
	}
	addr, err := serverAddr(f.Value.String())
	if err != nil {
		from := "SPOKED_SERVER"
		if f.Changed {
			from = "--server"
		}
		return misuse("%s: %w", from, err)
	}
	return f.Value.Set(addr)
}
