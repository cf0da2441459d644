{% macro generate_schema_name(custom_schema_name, node) -%}
    {#- Schemas are exactly staging, intermediate and marts: dbt would put the target's schema in front. -#}
    {{ (custom_schema_name or target.schema) | trim }}
{%- endmacro %}
