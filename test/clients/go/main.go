// A relying party on go-oidc 3 and golang.org/x/oauth2, as Kargo, Argo CD, kubelogin and oauth2-proxy are.
//
//	go run . ISSUER CLIENT_ID REDIRECT_URI
//
// Prints the address of the authorization request, reads the query that came to the redirect URI from standard input,
// checks all that the library can check, refreshes once, and prints what it saw as JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

type seen struct {
	Claims        map[string]any `json:"claims"`
	UserInfo      map[string]any `json:"userinfo"`
	Refreshed     map[string]any `json:"refreshed"`
	Rotated       bool           `json:"rotated"`
	DeviceAuthURL string         `json:"deviceAuthURL"`
}

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func main() {
	issuer, clientID, redirect := os.Args[1], os.Args[2], os.Args[3]
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()

	provider := must(oidc.NewProvider(ctx, issuer))
	config := oauth2.Config{
		ClientID:    clientID,
		Endpoint:    provider.Endpoint(),
		RedirectURL: redirect,
		Scopes:      []string{oidc.ScopeOpenID, "profile", "email", "groups", oidc.ScopeOfflineAccess},
	}
	verifier, state, nonce := oauth2.GenerateVerifier(), oauth2.GenerateVerifier(), oauth2.GenerateVerifier()
	fmt.Println(config.AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier),
		oauth2.SetAuthURLParam("connector_id", "mock")))

	query := must(url.ParseQuery(strings.TrimSpace(must(bufio.NewReader(os.Stdin).ReadString('\n')))))
	if query.Get("state") != state {
		log.Fatalf("state came back as %q", query.Get("state"))
	}
	// The endpoint's style is not known yet: the library tries HTTP Basic with an empty secret first.
	token := must(config.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(verifier)))

	result := seen{DeviceAuthURL: provider.Endpoint().DeviceAuthURL}
	idVerifier := provider.Verifier(&oidc.Config{ClientID: clientID})
	idToken := must(idVerifier.Verify(ctx, rawIDToken(token)))
	if idToken.Nonce != nonce {
		log.Fatalf("nonce came back as %q", idToken.Nonce)
	}
	check(idToken.VerifyAccessToken(token.AccessToken))
	check(idToken.Claims(&result.Claims))

	info := must(provider.UserInfo(ctx, oauth2.StaticTokenSource(token)))
	if info.Subject != idToken.Subject {
		log.Fatalf("userinfo speaks of %q, the ID token of %q", info.Subject, idToken.Subject)
	}
	check(info.Claims(&result.UserInfo))

	renewed := must(config.TokenSource(ctx, &oauth2.Token{RefreshToken: token.RefreshToken}).Token())
	result.Rotated = renewed.RefreshToken != "" && renewed.RefreshToken != token.RefreshToken
	renewedID := must(idVerifier.Verify(ctx, rawIDToken(renewed)))
	check(renewedID.VerifyAccessToken(renewed.AccessToken))
	check(renewedID.Claims(&result.Refreshed))

	check(json.NewEncoder(os.Stdout).Encode(result))
}

func rawIDToken(token *oauth2.Token) string {
	raw, ok := token.Extra("id_token").(string)
	if !ok {
		log.Fatal("the answer holds no id_token")
	}
	return raw
}
