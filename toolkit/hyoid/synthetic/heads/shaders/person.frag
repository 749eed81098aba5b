// SPDX-License-Identifier: Apache-2.0
// A person's skin (KIND 0), eyes and other small parts (1), hair (2), cloth, hard things and lenses (3).
in vec3 at;
in vec3 turned;
in vec2 place;
in vec3 where_rest;
in vec3 colour_in;
in vec4 more;
in vec3 shadow_at;

uniform sampler2D skin_map;    // a: painted hair
uniform sampler2D eye_map;
uniform sampler2D brow_map;
uniform sampler2D lash_map;
uniform sampler2DShadow shadow_map;
uniform float shadows;
uniform vec3 light_direction[3];
uniform vec3 light_colour[3];
uniform vec3 sky;
uniform vec3 ground;
uniform vec3 up;
uniform float exposure;
uniform vec3 skin;
uniform vec3 hair;
uniform vec3 lips;
uniform vec3 iris;
uniform vec3 looks;            // painted scalp, stubble, blotches
uniform mat4 cloth;            // rows: main, pattern, shirt; last column: pattern kind, size, suit
uniform float gloss;
uniform float lapel;            // height where a jacket closes
uniform float identity;        // number for the mask, 0..1

layout(location = 0) out vec4 colour;
layout(location = 1) out vec4 number;

float hash(vec3 p) {
    p = fract(p * 0.3183099 + vec3(0.71, 0.113, 0.419));
    p *= 17.0;
    return fract(p.x * p.y * p.z * (p.x + p.y + p.z));
}
float noise(vec3 p) {
    vec3 i = floor(p), f = fract(p);
    f = f * f * (3.0 - 2.0 * f);
    return mix(mix(mix(hash(i), hash(i + vec3(1, 0, 0)), f.x), mix(hash(i + vec3(0, 1, 0)), hash(i + vec3(1, 1, 0)), f.x), f.y),
               mix(mix(hash(i + vec3(0, 0, 1)), hash(i + vec3(1, 0, 1)), f.x), mix(hash(i + vec3(0, 1, 1)), hash(i + vec3(1, 1, 1)), f.x), f.y), f.z);
}

vec3 woven(vec3 main_colour) {
    int kind = int(cloth[0].w + 0.5);
    vec3 p = where_rest * 60.0 / cloth[1].w;
    float share = 0.0;
    if (kind == 1) share = step(0.5, fract(p.y));
    if (kind == 2) share = 0.5 * step(0.5, fract(p.x)) + 0.5 * step(0.5, fract(p.y));
    if (kind == 3) share = step(length(fract(p.xy) - 0.5), 0.25);
    if (kind == 4) share = smoothstep(0.45, 0.55, noise(p * 0.4));
    return mix(main_colour, cloth[1].xyz, share) * (0.85 + 0.3 * noise(where_rest * 220.0));
}

void main() {
    int material = int(more.w + 0.5);
    vec3 n = normalize(turned);
    vec3 view = normalize(-at);
#if KIND > 1
    if (dot(n, view) < 0.0) n = -n;
#endif
    float edge = more.y, shine = 0.06, power = 18.0, wrap = 0.0, alpha = 1.0, sheen = 0.0;
    vec3 base;
#if KIND == 0
    {
        vec4 map = texture(skin_map, place);
        float mottle = noise(where_rest * 38.0);
        base = map.rgb * skin;
        base *= mix(vec3(1.0), vec3(1.12, 0.86, 0.84), looks.z * smoothstep(0.45, 0.9, mottle));
        float red = clamp((map.r - map.g) * 3.2 - 0.85, 0.0, 1.0);
        base = mix(base, base * lips * 1.15, red);
        bool brow = where_rest.z > 0.1 && abs(where_rest.x) < 0.075;
        base = mix(base, hair * 1.4, map.a * (brow ? 0.75 : looks.x * 0.9));
        float beard = more.z * looks.y;
        base = mix(base, hair * 1.3 + 0.03 * skin, 0.75 * clamp(beard * (0.55 + 0.9 * noise(where_rest * 900.0)), 0.0, 1.0));
        wrap = 0.22;
        shine = gloss;
        if (edge > 0.0) {
            base = woven(cloth[0].xyz);
            if (cloth[2].w > 0.5 && where_rest.z > 0.03) {
                float open = abs(where_rest.x) - 0.35 * clamp(where_rest.y - lapel, 0.0, 0.4);
                if (open < 0.0) base = abs(where_rest.x) < 0.016 ? cloth[1].xyz : cloth[2].xyz;
                else if (open < 0.006) base *= 0.55;
            }
            if (where_rest.y < 0.98 && abs(where_rest.x) < 0.42) {
                base = (cloth[2].w > 0.5 ? cloth[0].xyz : 0.5 * cloth[2].xyz) * (0.85 + 0.3 * noise(where_rest * 160.0));
                if (where_rest.y < 0.09) base = 0.25 * cloth[1].xyz;
            }
            wrap = 0.05;
            shine = 0.03;
        }
    }
#elif KIND == 1
    if (material == 1) {
        vec4 map = texture(eye_map, place);
        float dark = smoothstep(0.62, 0.3, map.g);
        base = mix(map.rgb, map.rgb * iris * 2.2, dark);
        shine = 1.2;
        power = 120.0;
    } else if (material == 2) {
        base = vec3(0.62, 0.56, 0.48) * (0.25 + 0.75 * more.x);
        shine = 0.3;
    } else if (material == 3) {
        base = vec3(0.4, 0.12, 0.11);
    } else if (material == 4 || material == 5) {
        vec4 map = material == 4 ? texture(brow_map, place) : texture(lash_map, place);
        if (map.a < 0.32) discard;
        base = hair * (material == 4 ? 1.2 : 0.6);
    }
#elif KIND == 2
    {
        float curls = more.z;
        float strands = mix(noise(vec3(place.x * 150.0, place.y * 4.0, 1.0)), noise(where_rest * 120.0), curls);
        float locks = mix(noise(vec3(place.x * 34.0, place.y * 2.0, 7.0)), noise(where_rest * 46.0), curls);
        if (edge < 0.02 + 0.5 * strands * (1.0 - smoothstep(0.0, 0.7, edge)) || edge < 0.0) discard;
        base = colour_in * (0.35 + 0.85 * locks) * (0.65 + 0.7 * strands);
        n = normalize(n + (0.55 + 0.5 * curls) * (vec3(strands, locks, strands) - 0.5));
        wrap = 0.15;
        shine = 0.04;
        sheen = 0.35 * gloss;
    }
#else
    if (material == 7) {
        if (edge < 0.0) discard;
        float knit = more.z > 0.5 ? 0.6 + 0.4 * step(0.5, fract(place.x * 60.0)) : 1.0;
        base = colour_in * knit * (0.85 + 0.3 * noise(where_rest * 180.0));
        if (more.z > 1.5) base = mix(base, cloth[1].xyz, smoothstep(0.5, 0.55, noise(where_rest * 35.0 * cloth[1].w)));
        wrap = 0.08;
        shine = 0.03;
    } else if (material == 8) {
        if (edge < 0.0) discard;
        base = colour_in;
        shine = 0.5;
        power = 40.0;
    } else {
        base = colour_in;
        alpha = more.z;
        shine = 2.0;
        power = 80.0;
    }
#endif
    float open_sky = more.x;
    float facing_up = dot(n, up) * 0.5 + 0.5;
    vec3 light = mix(ground, sky, facing_up) * open_sky;
    vec3 gleam = vec3(0.0);
    for (int i = 0; i < 3; ++i) {
        float facing = dot(n, light_direction[i]);
        float arrives = clamp((facing + wrap) / (1.0 + wrap), 0.0, 1.0);
        float clear = 1.0;
        if (i == 0 && shadows > 0.0) {
            clear = 0.5 * texture(shadow_map, shadow_at + vec3(0.002, 0.001, -0.003))
                  + 0.5 * texture(shadow_map, shadow_at - vec3(0.001, 0.002, 0.003));
            clear = mix(1.0, clear, shadows);
        } else {
            clear = 0.4 + 0.6 * open_sky;
        }
        vec3 come = light_colour[i] * clear;
        light += come * mix(vec3(arrives), pow(vec3(arrives), vec3(0.8, 1.05, 1.1)), wrap * 3.0);
        vec3 half_way = normalize(light_direction[i] + view);
        gleam += come * shine * pow(max(dot(n, half_way), 0.0), power) * step(0.0, facing);
#if KIND == 2
        {
            vec3 along = normalize(cross(n, cross(up, n)) + 1e-4);
            float t = dot(along, half_way);
            gleam += come * sheen * pow(max(1.0 - t * t, 0.0), 24.0) * arrives * (0.3 + colour_in);
        }
#endif
    }
    float rim = pow(1.0 - max(dot(n, view), 0.0), 4.0);
    gleam += 0.06 * rim * mix(ground, sky, facing_up) * open_sky;
    vec3 linear = (base * light + 0.35 * gleam) * exposure;
    vec3 filmic = linear * (2.51 * linear + 0.03) / (linear * (2.43 * linear + 0.59) + 0.14);
    colour = vec4(pow(clamp(filmic, 0.0, 1.0), vec3(1.0 / 2.2)), alpha);
    number = vec4(identity, 0.0, 0.0, 1.0);
}
