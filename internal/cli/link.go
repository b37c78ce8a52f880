package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"spoked/internal/api"
	"spoked/internal/config"
	"spoked/internal/wire"
)

const (
	defaultServer  = "127.0.0.1:11300"
	defaultTimeout = 10 * time.Second
)

// remote is how a command reaches a server.
type remote struct {
	server  string
	token   string
	timeout seconds
}

// remoteFlags gives c the flags by which a server is chosen.
func (p *Program) remoteFlags(c *cobra.Command) *remote {
	r := &remote{server: defaultServer, token: p.variable("SPOKED_TOKEN"), timeout: seconds(defaultTimeout)}
	if s := p.variable("SPOKED_SERVER"); s != "" {
		r.server = s
	}
	f := c.Flags()
	f.StringVarP(&r.server, "server", "s", r.server, "the server `ADDR`: HOST:PORT or unix:PATH, or http://HOST:PORT for the HTTP API; SPOKED_SERVER")
	token := f.VarPF((*secret)(&r.token), "token", "", "the `TOKEN` that the API wants; SPOKED_TOKEN")
	token.DefValue = ""
	f.Var(&r.timeout, "timeout", "how long the server may take to answer; 0 is for ever")
	if c.Annotations == nil {
		c.Annotations = map[string]string{"exit": remoteExits}
	}
	return r
}

// secret is the value of a flag that is not printed.
type secret string

func (s *secret) Set(text string) error { *s = secret(text); return nil }
func (s *secret) String() string        { return "" }
func (s *secret) Type() string          { return "TOKEN" }

// jsonFlag gives c the flag --json.
func jsonFlag(c *cobra.Command, what string) *bool {
	return c.Flags().Bool("json", false, "print "+what)
}

// isURL reports whether the server is given as that of the API.
func (r *remote) isURL() bool {
	return strings.HasPrefix(r.server, "http://") || strings.HasPrefix(r.server, "https://")
}

// A link is a server as a command uses it: over the wire or the API. It is for one
// goroutine. Its methods block; what they return is the caller's.
type link interface {
	// put puts the jobs of a source and calls each with what came of them, in order.
	put(ctx context.Context, s *source, each func(outcome) error) error
	// reserve reserves a job of one of the tubes, and waits for it; less than 0 is
	// for ever. It returns nil if there was none.
	reserve(ctx context.Context, tubes []string, wait time.Duration) (held, error)
	// remove and kickJobs call each with every id, in order, and nil or why not.
	remove(ctx context.Context, ids []uint64, each func(uint64, error)) error
	kickJobs(ctx context.Context, ids []uint64, each func(uint64, error)) error
	kick(ctx context.Context, tube string, count uint32) (int, error)
	job(ctx context.Context, id uint64, body bool) (*api.Job, error)
	peek(ctx context.Context, tube, state string) (*api.Job, error)
	tube(ctx context.Context, name string) (*api.Tube, error)
	// tubes calls each with every tube whose name begins with prefix.
	tubes(ctx context.Context, prefix string, each func(*api.Tube) error) error
	pause(ctx context.Context, tube string, d time.Duration) error
	drain(ctx context.Context, on bool) error
	// stats returns figures of the server: pairs to print, and what is JSON.
	stats(ctx context.Context) (wire.Dict, any, error)
	// ping returns what the server says it is.
	ping(ctx context.Context) (string, error)
	close()
}

// held is a job that is reserved.
type held interface {
	job() *api.Job
	touch(ctx context.Context) error
	remove(ctx context.Context) error
	release(ctx context.Context, pri *uint32, delay time.Duration) error
	bury(ctx context.Context, pri *uint32) error
}

// open returns a link of the kind that the server's address asks for.
func (r *remote) open(ctx context.Context) (link, error) {
	if r.isURL() {
		return r.apiLink(r.server), nil
	}
	return r.dial(ctx, r.server)
}

// dial returns a link over the wire.
func (r *remote) dial(ctx context.Context, addr string) (*wireLink, error) {
	c, err := wire.Dial(ctx, addr, time.Duration(r.timeout))
	if err != nil {
		return nil, err
	}
	return &wireLink{Conn: c}, nil
}

// noAPIError is the error of a server without an API, or with one out of reach.
type noAPIError struct{ addr, why string }

func (e *noAPIError) Error() string {
	return fmt.Sprintf("this needs the HTTP API, and the server at %s %s", e.addr, e.why)
}

// api returns a link over the API. If the server's address is that of the wire, the
// server is asked where its API is.
func (r *remote) api(ctx context.Context) (*apiLink, error) {
	if r.isURL() {
		return r.apiLink(r.server), nil
	}
	c, err := wire.Dial(ctx, r.server, time.Duration(r.timeout))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	reply, err := c.Do("capabilities", nil)
	if err != nil {
		return nil, err
	}
	if reply.Word != "OK" {
		return nil, &noAPIError{r.server, "has none: it is not spoked, or one with --strict; give its address with --server http://HOST:PORT"}
	}
	address := wire.Mapping(reply.Body).Get("http")
	if address == "" {
		return nil, &noAPIError{r.server, "has none: it was started with --http off, or its default address was taken"}
	}
	u, err := beside(r.server, address)
	if err != nil {
		return nil, err
	}
	return r.apiLink(u), nil
}

// beside returns the URL of an API that listens at address, for somebody who reaches
// the same server at wireAddr.
func beside(wireAddr, address string) (string, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return "", &noAPIError{wireAddr, "has it at " + address + ", which is no address"}
	}
	ours, _, err := net.SplitHostPort(wireAddr)
	if err != nil || strings.HasPrefix(wireAddr, "unix:") { // the same machine
		ours = "127.0.0.1"
	}
	local := ours == "localhost" || net.ParseIP(ours).IsLoopback()
	switch ip := net.ParseIP(host); {
	case ip != nil && ip.IsUnspecified() || host == "":
		host = ours
	case ip.IsLoopback() && !local:
		return "", &noAPIError{wireAddr, "has it at " + address + ", which only its own machine reaches; forward that port and give --server http://..."}
	}
	return "http://" + net.JoinHostPort(host, port), nil
}

// wireAddr returns the address for clients of beanstalkd's protocol. If the server's
// address is that of the API, the server is asked where it is.
func (r *remote) wireAddr(ctx context.Context) (string, error) {
	if !r.isURL() {
		return r.server, nil
	}
	status, err := r.apiLink(r.server).client.Status(ctx)
	if err != nil {
		return "", err
	}
	host, port, err := net.SplitHostPort(status.Address)
	if ip := net.ParseIP(host); err == nil && (host == "" || ip != nil && ip.IsUnspecified()) {
		u, err := url.Parse(r.server)
		if err != nil {
			return "", misuse("--server: %w", err)
		}
		return net.JoinHostPort(u.Hostname(), port), nil
	}
	return status.Address, nil
}

// apiLink returns a link over the API at u.
func (r *remote) apiLink(u string) *apiLink {
	client := func(header time.Duration) *api.Client {
		t := http.DefaultTransport.(*http.Transport).Clone()
		t.DialContext = (&net.Dialer{Timeout: time.Duration(r.timeout)}).DialContext
		t.ResponseHeaderTimeout = header
		return &api.Client{URL: u, Token: r.token, HTTP: &http.Client{Transport: t}}
	}
	return &apiLink{client: client(time.Duration(r.timeout)), patient: client(0), url: u}
}

// explain returns the exit code that an error of a link comes to, or 0, and
// the error in words that say what to do.
func explain(err error) (int, error) {
	if e, ok := errors.AsType[*api.Error](err); ok {
		switch e.Kind() {
		case api.Unauthorized:
			return config.ExitRefused, fmt.Errorf("%w; give a token with --token or SPOKED_TOKEN", err)
		case api.Forbidden:
			return config.ExitRefused, fmt.Errorf("%w; give another token with --token or SPOKED_TOKEN", err)
		case api.NotFound, api.LeaseOver:
			return config.ExitNotFound, err
		}
		return 0, err
	}
	const advice = "; is it running? --server or SPOKED_SERVER chooses another"
	if _, ok := errors.AsType[*wire.UnreachableError](err); ok {
		return config.ExitUnreachable, fmt.Errorf("%w%s", err, advice)
	}
	if e, ok := errors.AsType[*url.Error](err); ok && !errors.Is(err, context.Canceled) {
		u, _ := url.Parse(e.URL)
		what := fmt.Sprintf("no API at %s://%s: %v%s", u.Scheme, u.Host, e.Err, advice)
		return config.ExitUnreachable, errors.New(strings.Replace(err.Error(), e.Error(), what, 1))
	}
	return 0, err
}

// checkTube returns an error if a tube cannot have that name.
func checkTube(names ...string) error {
	for _, name := range names {
		if !validTube(name) {
			return misuse("invalid name of a tube: %q (letters, digits and -+/;.$_(), at most 200, not beginning with a dash)", name)
		}
	}
	return nil
}
