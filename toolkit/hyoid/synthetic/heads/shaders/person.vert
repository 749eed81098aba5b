#version 330 core
// SPDX-License-Identifier: Apache-2.0
layout(location = 0) in vec3 position;   // camera frame, y up, z towards the viewer
layout(location = 1) in vec3 normal;
layout(location = 2) in vec2 uv;
layout(location = 3) in vec3 rest;
layout(location = 4) in vec3 tint;
layout(location = 5) in vec4 extra;      // sky seen, edge, style, material
uniform mat4 projection;
uniform mat4 shadow_matrix;
out vec3 at;
out vec3 turned;
out vec2 place;
out vec3 where_rest;
out vec3 colour_in;
out vec4 more;
out vec3 shadow_at;
void main() {
    at = position;
    turned = normal;
    place = uv;
    where_rest = rest;
    colour_in = tint;
    more = extra;
    vec4 lit = shadow_matrix * vec4(position + 0.003 * normal, 1.0);
    shadow_at = lit.xyz * 0.5 + 0.5;
    gl_Position = projection * vec4(position, 1.0);
}
